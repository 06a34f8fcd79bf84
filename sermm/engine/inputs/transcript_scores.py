"""How far a machine's transcripts are from the human's, as a whole and by its parts.

What `sermm transcribe` prints in the end. An emotion recogniser that reads a machine's texts is
only as good as these; where the machine fails on one class more than on others, the class shows
here.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict
from typing import Any

from sermm.core.records import Utterance
from sermm.engine.inputs.corpus import Loaded
from sermm.engine.inputs.recognition import Transcribed
from sermm.recognisers.word_errors import unwritable, word_errors

NORMALISED = (
    "both sides in lower case, without [TAGS], punctuation and apostrophes; numbers as written; "
    "scripts without blanks by character"
)


def summarise(done: Transcribed, loaded: Loaded) -> dict[str, Any]:
    """What was recognised and how well, ready for JSON.

    Args:
        done: of `transcribe`.
        loaded: the corpus, with the human transcripts.

    Returns:
        `wer` holds `all`, `act`, `class`, `gender` and `talker`, each with the counts of
        `WordErrors` and the rate, a fraction; parts that the corpus does not tell apart are left
        out. `seconds` are of audio, `took_s` of wall clock, both of this call; so are `languages`,
        how many recordings were taken to be in which, empty where none is detected.
        `unwritable` is None where the recogniser can write anything.
    """
    heard = [u for u in loaded.reading.utterances if u.id in done.texts]
    characters = done.recogniser.characters
    lacking = None if characters is None else unwritable((u.transcript for u in heard), characters)
    return {
        "text_source": f"asr:{done.name}",
        "identity": done.identity,
        "utterances": len(done.texts),
        "stored": done.stored,
        "recognised": done.computed,
        "seconds": round(done.seconds, 3),
        "took_s": round(done.took_s, 3),
        "languages": dict(Counter(done.recogniser.detected).most_common()),
        "windowed": done.windowed,
        "empty": sum(not text for text in done.texts.values()),
        "normalisation": NORMALISED,
        "wer": {"all": _scores(heard, done.texts), **_by_part(heard, done.texts, loaded)},
        "unwritable": None if lacking is None else asdict(lacking),
        "failures": done.failures,
        "problems": [asdict(problem) for problem in loaded.reading.problems],
    }


def _by_part(
    heard: Sequence[Utterance], texts: Mapping[str, str], loaded: Loaded
) -> dict[str, dict[str, Any]]:
    """The same by act, class, gender and talker, of the values that occur.

    Classes in the protocol's order.
    """
    parts: dict[str, Callable[[Utterance], str | None]] = {
        "act": lambda u: u.act,
        "class": lambda u: loaded.targets[u.id],
        "gender": lambda u: u.gender,
        "talker": lambda u: u.speaker,
    }
    scored = {}
    for name, part in parts.items():
        values = {part(u) for u in heard} - {None}
        order = loaded.protocol.classes if name == "class" else sorted(map(str, values))
        scored[name] = {
            value: _scores([u for u in heard if part(u) == value], texts)
            for value in order
            if value in values
        }
    return scored


def _scores(utterances: Iterable[Utterance], texts: Mapping[str, str]) -> dict[str, Any]:
    """Errors of some utterances together: words are pooled, so that long ones count more."""
    errors = word_errors((u.transcript, texts[u.id]) for u in utterances)
    return {"wer": errors.wer, **asdict(errors)}
