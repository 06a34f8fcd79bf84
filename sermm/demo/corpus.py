"""Writes the demo corpus in the layout of IEMOCAP, with the oddities that its copies have.

Oddities on purpose: `._*` files; `M:` lines and `_FXX` ids in transcripts; transcript lines out
of the order of time; labels listed actor by actor; in each session one turn of laughter only,
with an empty .syseg; one .wdseg missing in the whole corpus.
"""

import os
import shutil
import sys
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Final

import numpy as np
import soundfile
from jaxtyping import Float, Int16

from sermm.core.errors import InputError
from sermm.core.files import write_json
from sermm.core.progress import Progress
from sermm.core.records import Span, Utterance
from sermm.core.seeding import generator
from sermm.core.transcripts import spoken
from sermm.corpora.iemocap import layout
from sermm.corpora.iemocap.counts import Counts
from sermm.demo.alignment import Alignment, align, speakable, speech_end_s
from sermm.demo.plan import LAUGHTER, DemoSettings, PlannedDialogue, PlannedTurn, plan
from sermm.demo.ratings import draw_attributes, draw_votes
from sermm.demo.speech import SAMPLE_RATE_HZ, Speech, Synthesiser

TREE: Final = "IEMOCAP_full_release"
COUNTS: Final = "counts.json"
UNALIGNED: Final = ("3", 0)
"""Session and dialogue whose first turn has no .wdseg."""

_SAMPLES_PER_FRAME: Final = SAMPLE_RATE_HZ // layout.FRAMES_PER_S
_NOISE_DB: Final = -66.0
_APPLE_DOUBLE: Final = bytes.fromhex("00051607000200004d6163204f532058") + bytes(66)
_README: Final = (
    "Synthetic speech by espeak-ng, written by the demo corpus generator of sermm in the layout "
    "of IEMOCAP. No word, sound or judgement in it is from IEMOCAP or from any person.\n"
)


@dataclass(frozen=True, slots=True)
class _Spoken:
    """A turn that has been said; frames of 10 ms in the dialogue."""

    planned: PlannedTurn
    alignment: Alignment
    samples: Float[np.ndarray, " t"]
    start: int
    end: int

    @property
    def start_s(self) -> float:
        return self.start / layout.FRAMES_PER_S

    @property
    def end_s(self) -> float:
        return self.end / layout.FRAMES_PER_S


def write_corpus(folder: Path, settings: DemoSettings) -> None:
    """Makes `folder`, whole or not at all: the tree and `counts.json`.

    A process that finds another has made it in the meantime leaves it as it is.

    Raises:
        InputError: the place cannot be written, or the synthesiser is not installed or ended.
    """
    planned = plan(settings)
    with _whole_folder(folder) as temporary:
        print(
            f"demo corpus: writing {settings.utterances} utterances, once, to {folder}",
            file=sys.stderr,
            flush=True,
        )
        root = temporary / TREE
        with ThreadPoolExecutor(min(len(planned), os.cpu_count() or 1)) as pool:
            jobs = pool.map(
                partial(_write_session, root, settings.seed), planned.keys(), planned.values()
            )
            with Progress("demo corpus", len(planned), "session") as progress:
                for _ in jobs:
                    progress.advance()
        (root / "README.txt").write_text(_README, encoding="utf-8")
        counts = asdict(expected_counts(planned))
        # Sorted: the order of a Counter may differ from one process to the next.
        write_json(
            temporary / COUNTS, {name: dict(sorted(n.items())) for name, n in counts.items()}
        )


def expected_counts(planned: dict[str, tuple[PlannedDialogue, ...]]) -> Counts:
    """What a reading of the corpus must find."""
    return Counts.of(
        Utterance(
            id=turn.id,
            corpus="demo",
            path=Path(),
            label=turn.label,
            speaker=layout.speaker_of(turn.id),
            group=session,
            dialogue=dialogue.name,
            act=layout.act_of(turn.id),
        )
        for session, dialogues in planned.items()
        for dialogue in dialogues
        for turn in dialogue.turns
    )


@contextmanager
def _whole_folder(folder: Path) -> Iterator[Path]:
    temporary = folder.with_name(f".{folder.name}.{os.getpid()}.{uuid.uuid4().hex[:8]}.tmp")
    try:
        temporary.mkdir(parents=True)
    except OSError as error:
        raise InputError(
            f"demo corpus: cannot make a folder in {folder.parent} ({error}); "
            "set cache_dir or data.root to a folder that you may write"
        ) from error
    try:
        yield temporary
        _rename_unless_there(temporary, folder)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _rename_unless_there(temporary: Path, folder: Path) -> None:
    try:
        temporary.rename(folder)
    except OSError:
        if not folder.exists():
            raise


def _write_session(
    root: Path, seed: int, session: str, dialogues: tuple[PlannedDialogue, ...]
) -> None:
    """One synthesiser a session: what it says depends on what it said before."""
    draws = generator("demo", seed, "sound", session)
    with Synthesiser() as synthesiser:
        for number, dialogue in enumerate(dialogues):
            turns = _spoken(dialogue, synthesiser)
            _write_audio(root, dialogue.name, turns, draws)
            _write_labels(root, dialogue.name, turns, draws)
            _write_transcripts(root, dialogue.name, turns, draws)
            for i, turn in enumerate(turns):
                _write_alignment(root, turn, with_words=(session, number, i) != (*UNALIGNED, 0))
    _write_apple_doubles(root, dialogues[0].name)


def _spoken(dialogue: PlannedDialogue, synthesiser: Synthesiser) -> list[_Spoken]:
    turns: list[_Spoken] = []
    for planned in dialogue.turns:
        text = speakable(spoken(planned.transcript) or "Ha ha ha")
        speech = synthesiser.say(text, planned.prosody)
        samples = _placed(speech, planned)
        start = (turns[-1].end if turns else 0) + round(planned.gap_s * layout.FRAMES_PER_S)
        end = start + len(samples) // _SAMPLES_PER_FRAME
        alignment = align(text, speech.events, planned.lead_s)
        if planned.transcript == LAUGHTER:
            alignment = _laughter(alignment)
        turns.append(_Spoken(planned, alignment, samples, start, end))
    return turns


def _placed(speech: Speech, planned: PlannedTurn) -> Float[np.ndarray, " t"]:
    """The speech between its pauses, a whole number of frames long."""
    lead = round(planned.lead_s * SAMPLE_RATE_HZ)
    length_s = planned.lead_s + speech_end_s(speech.events) + planned.tail_s
    placed = np.zeros(round(length_s * layout.FRAMES_PER_S) * _SAMPLES_PER_FRAME)
    heard = speech.samples[: len(placed) - lead]
    placed[lead : lead + len(heard)] = heard
    return placed


def _laughter(alignment: Alignment) -> Alignment:
    """No words: the fillers of Sphinx, and no syllable."""
    start_s, end_s = alignment.words[0].start_s, alignment.words[-1].end_s
    return Alignment(
        words=(Span("++LAUGHTER++", start_s, end_s, "word", "corpus"),),
        phones=(Span("+LAUGHTER+", start_s, end_s, "phone", "corpus"),),
        syllables=(),
    )


def _write_audio(root: Path, name: str, turns: list[_Spoken], draws: np.random.Generator) -> None:
    """The dialogue with a little noise, and each utterance cut out of it."""
    length = (turns[-1].end + layout.FRAMES_PER_S) * _SAMPLES_PER_FRAME
    mixed = 10 ** (_NOISE_DB / 20) * draws.standard_normal(length)
    for turn in turns:
        mixed[_samples(turn)] += turn.samples
    pcm = np.clip(np.round(mixed * 32767), -32768, 32767).astype(np.int16)
    _write_wav(layout.dialogue_wav_path(root, name), pcm)
    for turn in turns:
        _write_wav(layout.sentence_path(root, turn.planned.id), pcm[_samples(turn)])


def _samples(turn: _Spoken) -> slice:
    return slice(turn.start * _SAMPLES_PER_FRAME, turn.end * _SAMPLES_PER_FRAME)


def _write_wav(path: Path, pcm: Int16[np.ndarray, " t"]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, pcm, SAMPLE_RATE_HZ, subtype="PCM_16")


def _write_labels(root: Path, name: str, turns: list[_Spoken], draws: np.random.Generator) -> None:
    """All turns of one actor, then all of the other; each rater's votes in a file of their own."""
    by_actor = sorted(turns, key=lambda turn: turn.planned.id)
    rated = [_rated(turn, draws) for turn in by_actor]
    path = layout.evaluation_path(root, name)
    _write(path, layout.evaluation_text(rated))
    votes = [
        f"{turn.id} :{'; :'.join(vote.labels)}; ()\n"
        for turn in rated
        for vote in turn.votes
        if vote.rater == "E1"
    ]
    _write(path.parent / "Categorical" / f"{name}_e1_cat.txt", "".join(votes))


def _rated(turn: _Spoken, draws: np.random.Generator) -> layout.Turn:
    planned = turn.planned
    votes = draw_votes(planned.label, planned.id[-4] + planned.id[4], draws)
    attributes, rater_attributes = draw_attributes(planned.label, draws)
    return layout.Turn(
        id=planned.id,
        start_s=turn.start_s,
        end_s=turn.end_s,
        label=planned.label,
        attributes=attributes,
        votes=votes,
        rater_attributes=rater_attributes,
    )


def _write_transcripts(
    root: Path, name: str, turns: list[_Spoken], draws: np.random.Generator
) -> None:
    """Out of the order of time, and with lines that belong to no utterance."""
    lines = [
        layout.transcription_line(t.planned.id, t.start_s, t.end_s, t.planned.transcript)
        for t in turns
    ]
    lines.append(layout.transcription_line(f"{name}_FXX0", 0.0, 0.1, "Mm-hmm."))
    lines.append("M: Right.\n")
    shuffled = [lines[int(i)] for i in draws.permutation(len(lines))]
    _write(layout.transcription_path(root, name), "".join(shuffled))


def _write_alignment(root: Path, turn: _Spoken, *, with_words: bool) -> None:
    n_frames = turn.end - turn.start
    units = turn.alignment
    place = turn.planned.id
    if with_words:
        words = layout.wdseg_text(units.words, n_frames)
        _write(layout.alignment_path(root, place, "word"), words)
    phones = layout.phseg_text(units.phones, n_frames)
    _write(layout.alignment_path(root, place, "phone"), phones)
    _write(layout.alignment_path(root, place, "syllable"), layout.syseg_text(units.syllables))


def _write_apple_doubles(root: Path, dialogue: str) -> None:
    for path in (
        layout.evaluation_path(root, dialogue),
        layout.transcription_path(root, dialogue),
        layout.dialogue_wav_path(root, dialogue),
    ):
        path.with_name(f"._{path.name}").write_bytes(_APPLE_DOUBLE)


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8", newline="\n")
