"""What the demo corpus will say, decided before a sound is made.

Each of the five sessions has four improvised and four scripted dialogues. The scripts are the
same in all sessions. A script's emotional lines are said with the same emotion everywhere, its
neutral lines with another one each time, so that who only knows the lines is often right.
"""

from dataclasses import dataclass
from itertools import cycle, islice
from typing import Final

import numpy as np

from sermm.core.errors import InputError
from sermm.core.seeding import generator
from sermm.corpora.iemocap.layout import SESSIONS
from sermm.demo.prosody import FEELINGS, TALKERS, Prosody, draw_prosody
from sermm.demo.sentences import WORDINGS, draw_sentence

FOUR: Final = ("ang", "hap", "sad", "neu")
LAUGHTER: Final = "[LAUGHTER]"
_IMPROVISED: Final = ("F_impro01", "M_impro02", "F_impro03", "M_impro05a")
_SCRIPTED: Final = ("F_script01_1", "M_script01_2", "F_script02_2", "M_script03_1b")
_RARE: Final = ("sur", "fea", "oth", "dis", "sur")
_TAGGED: Final = 0.06
_LEAST: Final = 40
# Of lead, tail and gap, in hundredths of a second.
_PAUSES: Final = ((8, 30), (8, 30), (10, 90))


@dataclass(frozen=True)
class DemoSettings:
    """What the corpus depends on.

    Attributes:
        seed: of all draws.
        utterances: how many are of the four classes; a fifth as many others come on top.
        text_cue: probability that the words of an emotional utterance tell its emotion; the
            others have neutral words.
        speech_cue: how far the voice follows the emotion; 0 = not at all.
        conflict: share of utterances whose words tell another emotion than the voice; the label
            is the voice's.
    """

    seed: int
    utterances: int
    text_cue: float
    speech_cue: float
    conflict: float

    def __post_init__(self) -> None:
        if self.utterances < _LEAST:
            raise InputError(
                f"data.utterances: got {self.utterances}, expected {_LEAST} or more: every "
                "session needs each class in both acts"
            )
        for name in ("text_cue", "conflict"):
            if not 0 <= getattr(self, name) <= 1:
                raise InputError(f"data.{name}: got {getattr(self, name)}, expected 0 to 1")
        if not 0 <= self.speech_cue <= 3:
            raise InputError(f"data.speech_cue: got {self.speech_cue}, expected 0 to 3")


@dataclass(frozen=True, slots=True)
class PlannedTurn:
    """One utterance to be spoken.

    Attributes:
        label: emotion code; the voice follows it.
        wording: what the words tell: ang, hap, sad, or neu for nothing.
        transcript: as the corpus gives it, with tags.
        lead_s: quiet before the first sound within the utterance; likewise `tail_s` after.
        gap_s: quiet before the utterance in the dialogue.
    """

    id: str
    label: str
    wording: str
    transcript: str
    prosody: Prosody
    lead_s: float
    tail_s: float
    gap_s: float

    @property
    def conflicting(self) -> bool:
        """Whether the words tell another emotion than the voice."""
        return self.wording not in ("neu", FEELINGS[self.label])


@dataclass(frozen=True, slots=True)
class PlannedDialogue:
    """One conversation, its turns in the order of time."""

    name: str
    turns: tuple[PlannedTurn, ...]


@dataclass(frozen=True, slots=True)
class _Line:
    label: str
    wording: str
    transcript: str


def plan(settings: DemoSettings) -> dict[str, tuple[PlannedDialogue, ...]]:
    """The dialogues by session."""
    n_scripted = settings.utterances // len(SESSIONS) // 2
    script = _lines(_labels(n_scripted, 0), settings, generator("demo", settings.seed, "script"))
    planned = {}
    for number, session in enumerate(SESSIONS):
        draws = generator("demo", settings.seed, "session", session)
        n = _share(settings.utterances, len(SESSIONS), number) - n_scripted
        labels = [*_labels(n, number), _RARE[number]]
        improvised = _with_laughter(_lines(labels, settings, draws))
        performed = _performed(script, draws)
        acts = ((_IMPROVISED, improvised), (_SCRIPTED, performed))
        planned[session] = tuple(
            _dialogue(f"Ses0{session}{name}", lines[i :: len(names)], settings, draws)
            for names, lines in acts
            for i, name in enumerate(names)
        )
    return planned


def _share(total: int, parts: int, number: int) -> int:
    return total // parts + (number < total % parts)


def _labels(n: int, offset: int) -> list[str]:
    """`n` labels of the four classes, happy and excited in turn, and a fifth as many others."""
    classes = islice(cycle(FOUR), offset, offset + n)
    joys = cycle(("hap", "exc"))
    four = [next(joys) if label == "hap" else label for label in classes]
    others = max(1, n // 10)
    return [*four, *["fru"] * others, *["xxx"] * others]


def _lines(labels: list[str], settings: DemoSettings, draws: np.random.Generator) -> list[_Line]:
    shuffled = [labels[i] for i in draws.permutation(len(labels))]
    wordings = _wordings(shuffled, settings, draws)
    return [
        _Line(label, wording, _tagged(draw_sentence(wording, draws), draws))
        for label, wording in zip(shuffled, wordings, strict=True)
    ]


def _tagged(sentence: str, draws: np.random.Generator) -> str:
    tag = ("[BREATHING]", LAUGHTER)[int(draws.integers(2))]
    return f"{tag} {sentence}" if draws.random() < _TAGGED else sentence


def _wordings(labels: list[str], settings: DemoSettings, draws: np.random.Generator) -> list[str]:
    """Exact shares, not probabilities: a small corpus is to have what was asked for."""
    order = [int(i) for i in draws.permutation(len(labels))]
    four = [i for i in order if labels[i] in (*FOUR, "exc")]
    n_conflicting = round(settings.conflict * len(four))
    wordings = ["neu"] * len(labels)
    for i in four[:n_conflicting]:
        others = [w for w in WORDINGS if w not in ("neu", FEELINGS[labels[i]])]
        wordings[i] = others[int(draws.integers(len(others)))]
    rest = [i for i in order if i not in four[:n_conflicting] and FEELINGS[labels[i]] != "neu"]
    for i in rest[: round(settings.text_cue * len(rest))]:
        wordings[i] = FEELINGS[labels[i]]
    return wordings


def _with_laughter(lines: list[_Line]) -> list[_Line]:
    """The first happy line (a wordless one, if there is any) becomes nothing but laughter."""
    happy = [i for i, line in enumerate(lines) if line.label == "hap"]
    chosen = next((i for i in happy if lines[i].wording == "neu"), happy[0])
    return [
        _Line(line.label, "neu", LAUGHTER) if i == chosen else line for i, line in enumerate(lines)
    ]


def _performed(script: list[_Line], draws: np.random.Generator) -> list[_Line]:
    """The script as one session plays it: the neutral lines exchange their emotions."""
    neutral = [i for i, line in enumerate(script) if line.wording == "neu"]
    performed = list(script)
    for i, j in zip(neutral, draws.permutation(neutral), strict=True):
        performed[i] = _Line(script[int(j)].label, "neu", script[i].transcript)
    return performed


def _dialogue(
    name: str, lines: list[_Line], settings: DemoSettings, draws: np.random.Generator
) -> PlannedDialogue:
    """Deals the lines to the two actors in turn."""
    actors = "FM" if draws.random() < 0.5 else "MF"
    turns = tuple(
        _turn(f"{name}_{actors[i % 2]}{i // 2:03d}", line, settings, draws)
        for i, line in enumerate(lines)
    )
    return PlannedDialogue(name, turns)


def _turn(
    utterance_id: str, line: _Line, settings: DemoSettings, draws: np.random.Generator
) -> PlannedTurn:
    talker = TALKERS[utterance_id[:5] + utterance_id[-4]]
    lead, tail, gap = (int(draws.integers(low, high)) / 100 for low, high in _PAUSES)
    return PlannedTurn(
        id=utterance_id,
        label=line.label,
        wording=line.wording,
        transcript=line.transcript,
        prosody=draw_prosody(talker, line.label, settings.speech_cue, draws),
        lead_s=lead,
        tail_s=tail,
        gap_s=gap,
    )
