"""What a user types and writes, made ready for Hydra: quotes where it needs them, `~` as a home."""

import os
import re
import shlex
from collections.abc import Collection, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Any, Final

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import (
    ChoiceSweep,
    Glob,
    Override,
    Quote,
    QuotedString,
    Sweep,
)
from hydra.errors import HydraException

from sermm.core.errors import InputError
from sermm.core.files import exists

_HOME: Final = re.compile(r"~[\w.-]*(/.*)?")
# Maps and rules that a word sets as a whole. Hydra would merge it into what is there.
_WHOLE: Final = ("protocol.labels", "protocol.fold_rule", "protocol.validation_rule")
# What starts a list, a mapping, a text in quotes or a function, or goes on to a further value.
_GRAMMAR: Final = frozenset("[]{}()'\",")
# Functions whose values are swept over; Hydra knows them as whole values only.
_SWEEPS: Final = re.compile(r"\b(?:range|glob|interval|choice|sort|shuffle|tag)\(")
_RANGE: Final = re.compile(r"\brange\([^()]*\)")
_MOST_VALUES: Final = 20


def at_home(value: Any) -> Any:
    """A configuration with the user's own folder for every `~/` that starts a text."""
    if isinstance(value, str):
        # Path.expanduser raises where there is no such user.
        return os.path.expanduser(value) if _HOME.fullmatch(value) else value  # noqa: PTH111
    if isinstance(value, Mapping):
        return {key: at_home(one) for key, one in value.items()}
    return [at_home(one) for one in value] if isinstance(value, list) else value


def readable(words: Sequence[str]) -> list[str]:
    """Words as Hydra can read them: a value that it cannot is put in quotes if it is one value.

    It is where it names something on the disk, or has none of the signs of Hydra's grammar: then
    nothing else can be meant. `~/` at the start of a value is the user's own folder. Some mappings
    are set as a whole (`_set_whole`).

    Args:
        words: as typed; options such as `-m`, and what has no `=`, stay.

    Raises:
        InputError: a word cannot be read; the message shows the quotes that it may need, or the
            values of a range that stands among others.
    """
    parser = OverridesParser.create()
    return _set_whole(
        [
            word if word.startswith("-") or "=" not in word else _readable(word, parser)
            for word in words
        ]
    )


def as_text(words: Sequence[str], keys: Collection[str]) -> list[str]:
    """Readable words in which the values of some keys are text, be they like numbers.

    Args:
        words: that Hydra can read.
        keys: whose values are text; a sweep over several is too: `study=3.10,3.11`.
    """
    return [_as_text(word) if word.split("=", 1)[0] in keys else word for word in words]


def _as_text(word: str) -> str:
    key, _, value = word.partition("=")
    if set("[](){}'\"") & set(value):
        return word
    parser = OverridesParser.create()
    found = {one: _parsed(f"{key}={one}", parser) for one in value.split(",")}
    numbers = {one for one, o in found.items() if o and isinstance(o.value(), int | float)}
    return f"{key}={','.join(repr(one) if one in numbers else one for one in value.split(','))}"


def _set_whole(given: Sequence[str]) -> list[str]:
    """The words with what makes Hydra set some mappings (`_WHOLE`) instead of merging them.

    `protocol.labels={calm: calm}` takes the place of the map; with a plus Hydra adds to it. Done
    again, it changes nothing: a job of a sweep is known by its words.
    """
    words: list[str] = []
    for word in given:
        key, _, value = word.partition("=")
        # With the plusses Hydra's sweeper takes it for another key, and keeps both.
        emptied = f"++{key}=null"
        if key in _WHOLE and value.lstrip().startswith("{") and emptied not in given:
            words.append(emptied)
        words.append(word)
    return words


def _readable(word: str, parser: OverridesParser) -> str:
    key, _, value = word.partition("=")
    found = _parsed(word, parser)
    if found is not None:
        given = found.value()
        if _sweeps_within(given):
            raise _nested(word, parser)
        away = isinstance(given, str) and at_home(given) != given
        return _quoted(key, at_home(given)) if away else word
    quoted = _quoted(key, value)
    if _parsed(quoted, parser) is None:
        raise InputError(f"{word} cannot be read; expected KEY=VALUE, +KEY=VALUE or ~KEY")
    if not _GRAMMAR & set(value) or exists(Path(at_home(value))):
        return _quoted(key, at_home(value))
    if len(_SWEEPS.findall(value)) > 1 and value.count("(") == value.count(")"):
        raise _nested(word, parser)
    raise InputError(
        f"{word} cannot be read: lists, mappings, quotes and sweeps must be complete, and words in "
        "them are of letters a to z, digits and _ - . / only. A value that is meant as it stands "
        f"needs quotes within quotes: {shlex.quote(quoted)}"
    )


def _sweeps_within(value: Any) -> bool:
    """Whether a value has a sweep among its parts: Hydra reads it, and can do nothing with it."""
    parts = value.list if isinstance(value, ChoiceSweep) else value
    parts = parts.values() if isinstance(parts, Mapping) else parts
    if not isinstance(parts, Collection) or isinstance(parts, str):
        return False
    return any(isinstance(one, Sweep | Glob) or _sweeps_within(one) for one in parts)


def _nested(word: str, parser: OverridesParser) -> InputError:
    """That a sweep stands among other values, and what to write instead."""
    key, _, value = word.partition("=")
    plain = f"{key}={_RANGE.sub(lambda call: _values(call[0], parser), value)}"
    found = _parsed(plain, parser)
    readable = found is not None and not _sweeps_within(found.value())
    return InputError(
        f"{word} cannot be read: range(), glob(), interval() and choice() stand for all values of "
        f"a word and not for some; write {shlex.quote(plain) if readable else 'out each value'}"
    )


def _values(call: str, parser: OverridesParser) -> str:
    """The values of a range, with commas; itself where it cannot be read or has too many."""
    found = _parsed(f"key={call}", parser)
    if found is None or not found.is_range_sweep():
        return call
    values = list(islice(found.sweep_string_iterator(), _MOST_VALUES + 1))
    return ",".join(values) if 0 < len(values) <= _MOST_VALUES else call


def _quoted(key: str, value: str) -> str:
    return f"{key}={QuotedString(value, Quote.double).with_quotes()}"


def _parsed(word: str, parser: OverridesParser) -> Override | None:
    try:
        return parser.parse_override(word)
    except HydraException:
        return None
