"""Where the files of the IEMOCAP release lie, and what stands in them, written from records.

The reader uses the paths; the demo corpus and the tests write whole trees with the text functions.

Source: release `IEMOCAP_full_release` (Busso et al., LRE 42(4):335-359, 2008).
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from sermm.core.records import Act, Attributes, Level, Span, Vote

SESSIONS: Final = ("1", "2", "3", "4", "5")
FRAMES_PER_S: Final = 100
SUFFIXES: Final[dict[Level, str]] = {"word": "wdseg", "phone": "phseg", "syllable": "syseg"}

_DIALOGUE: Final = r"Ses0(?P<session>[1-5])[FM]_(?:impro\d\d[ab]?|script\d\d_\d[ab]?)"
DIALOGUE_ID: Final = re.compile(_DIALOGUE)
UTTERANCE_ID: Final = re.compile(rf"(?P<dialogue>{_DIALOGUE})_(?P<gender>[FM])\d{{3}}")


@dataclass(frozen=True, slots=True)
class Turn:
    """One block of an EmoEvaluation file; seconds from the start of the dialogue.

    Attributes:
        label: emotion code (`ang hap exc sad neu fru fea sur dis oth xxx`).
        attributes: means over the raters, 1..5.
        votes: `C-` lines. A rater is E# (outside) or F#/M# (an actor about the own speech).
        rater_attributes: `A-` lines.
    """

    id: str
    start_s: float
    end_s: float
    label: str
    attributes: Attributes
    votes: tuple[Vote, ...] = ()
    rater_attributes: tuple[tuple[str, Attributes], ...] = ()


def dialogue_of(utterance_id: str) -> str:
    """The dialogue an utterance belongs to: `Ses01F_impro01_F000` -> `Ses01F_impro01`."""
    return utterance_id.rsplit("_", 1)[0]


def session_of(name: str) -> str:
    """The session digit of a dialogue's or an utterance's name."""
    return name[4]


def speaker_of(utterance_id: str) -> str:
    """Who talks: the letter before the three digits; the prefix says who wears the markers."""
    return utterance_id[:5] + utterance_id[-4]


def act_of(name: str) -> Act:
    """Improvised or scripted, from a dialogue's or an utterance's name."""
    return "improvised" if "_impro" in name else "scripted"


def evaluation_folder(root: Path, session: str) -> Path:
    """The folder of a session's label files."""
    return root / f"Session{session}" / "dialog" / "EmoEvaluation"


def evaluation_path(root: Path, dialogue: str) -> Path:
    """The label file of a dialogue."""
    return evaluation_folder(root, session_of(dialogue)) / f"{dialogue}.txt"


def transcription_folder(root: Path, session: str) -> Path:
    """The folder of a session's transcripts."""
    return root / f"Session{session}" / "dialog" / "transcriptions"


def transcription_path(root: Path, dialogue: str) -> Path:
    """The transcript file of a dialogue."""
    return transcription_folder(root, session_of(dialogue)) / f"{dialogue}.txt"


def dialogue_wav_folder(root: Path, session: str) -> Path:
    """The folder of a session's audio by dialogue."""
    return root / f"Session{session}" / "dialog" / "wav"


def dialogue_wav_path(root: Path, dialogue: str) -> Path:
    """The audio of a whole dialogue."""
    return dialogue_wav_folder(root, session_of(dialogue)) / f"{dialogue}.wav"


def sentence_folder(root: Path, session: str) -> Path:
    """The folder that holds one folder of utterance wavs a dialogue."""
    return root / f"Session{session}" / "sentences" / "wav"


def sentence_path(root: Path, utterance_id: str) -> Path:
    """The audio of one utterance."""
    folder = sentence_folder(root, session_of(utterance_id))
    return folder / dialogue_of(utterance_id) / f"{utterance_id}.wav"


def alignment_path(root: Path, utterance_id: str, level: Level) -> Path:
    """The forced alignment of one utterance."""
    folder = root / f"Session{session_of(utterance_id)}" / "sentences" / "ForcedAlignment"
    return folder / dialogue_of(utterance_id) / f"{utterance_id}.{SUFFIXES[level]}"


def evaluation_text(turns: Iterable[Turn]) -> str:
    """An EmoEvaluation file: a head line, then a block a turn, in the order given."""
    head = "% [START_TIME - END_TIME] TURN_NAME EMOTION [V, A, D]\n\n"
    return head + "".join(_evaluation_block(turn) + "\n" for turn in turns)


def _evaluation_block(turn: Turn) -> str:
    mean = turn.attributes
    means = (mean.valence, mean.activation, mean.dominance)
    values = ", ".join(f"{v:.4f}" for v in means if v is not None)
    lines = [f"[{turn.start_s:.4f} - {turn.end_s:.4f}]\t{turn.id}\t{turn.label}\t[{values}]"]
    for vote in turn.votes:
        labels = "; ".join(vote.labels)
        lines.append(f"C-{vote.rater}:\t{labels};\t({vote.comment})")
    for rater, given in turn.rater_attributes:
        scale = (("val", given.valence), ("act", given.activation), ("dom", given.dominance))
        values = " ".join(f"{name} {'' if v is None else format(v, 'g')};" for name, v in scale)
        lines.append(f"A-{rater}:\t{values}\t()")
    return "\n".join(lines) + "\n"


def transcription_line(name: str, start_s: float, end_s: float, text: str) -> str:
    """One line of a transcript file; seconds in the dialogue, padded with zeros."""
    return f"{name} [{start_s:08.4f}-{end_s:08.4f}]: {text}\n"


def wdseg_text(spans: Iterable[Span], n_frames: int) -> str:
    """Words as Sphinx-3 prints them: `<s>` before, `<sil>` between and `</s>` after them."""
    rows = _without_gaps(_frames(spans), n_frames, "<sil>")
    if rows[0][2] == "<sil>":
        rows[0] = (*rows[0][:2], "<s>")
    if rows[-1][2] == "<sil>":
        rows[-1] = (*rows[-1][:2], "</s>")
    return _sphinx_text("Word", rows)


def phseg_text(spans: Iterable[Span], n_frames: int) -> str:
    """Phones as Sphinx-3 prints them: with the neighbours on both sides, `SIL` in the gaps."""
    rows = _without_gaps(_frames(spans), n_frames, "SIL")
    symbols = ["SIL", *(symbol for _, _, symbol in rows), "SIL"]
    named = [
        (start, end, s if s == "SIL" else f"{s} {symbols[i]} {symbols[i + 2]} i")
        for i, (start, end, s) in enumerate(rows)
    ]
    return _sphinx_text("Phone", named)


def syseg_text(spans: Iterable[Span]) -> str:
    """Syllables: a head line and the rows, neither gaps nor a total; no span: an empty file."""
    rows = [
        f"{start:5d} {end:5d} {_score(start, end):10d} {symbol}\n"
        for start, end, symbol in _frames(spans)
    ]
    return "".join([" SFrm  EFrm    SegAScr Syllable\n", *rows]) if rows else ""


def _frames(spans: Iterable[Span]) -> list[tuple[int, int, str]]:
    """Start and (inclusive) end frames of 10 ms; a unit too short for one frame has no row."""
    rows = (
        (round(s.start_s * FRAMES_PER_S), round(s.end_s * FRAMES_PER_S) - 1, s.symbol)
        for s in spans
    )
    return [row for row in rows if row[1] >= row[0]]


def _without_gaps(
    rows: list[tuple[int, int, str]], n_frames: int, filler: str
) -> list[tuple[int, int, str]]:
    filled: list[tuple[int, int, str]] = []
    at = 0
    for start, end, symbol in rows:
        if start > at:
            filled.append((at, start - 1, filler))
        filled.append((start, end, symbol))
        at = end + 1
    if at < n_frames or not filled:
        filled.append((at, max(at, n_frames - 1), filler))
    return filled


def _score(start: int, end: int) -> int:
    """A made-up acoustic score: nothing reads it."""
    return -1000 * (end - start + 1)


def _sphinx_text(kind: str, rows: list[tuple[int, int, str]]) -> str:
    lines = [f"\t{s:5d} {e:5d} {_score(s, e):10d} {symbol}\n" for s, e, symbol in rows]
    total = sum(_score(start, end) for start, end, _ in rows)
    return "".join([f"\t SFrm  EFrm    SegAScr {kind}\n", *lines, f" Total score: {total}\n"])
