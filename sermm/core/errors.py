"""The one error for bad input; the command line prints it without a traceback and exits with 2."""

from collections.abc import Iterable
from difflib import get_close_matches
from typing import Any, get_args

# The exit status of what was interrupted, as a shell gives it after Ctrl-C.
INTERRUPTED = 130


class InputError(ValueError):
    """Wrong use or wrong input: names the file or key, what is wrong, and the way out."""

    def __str__(self) -> str:
        """The message, without the traceback that torch puts before what a worker has raised."""
        message = super().__str__()
        name = f"{type(self).__module__}.{type(self).__qualname__}: "
        return message.rpartition(name)[2].rstrip() if message.startswith("Caught ") else message


def expect_one_of(key: str, value: object, words: Any) -> None:
    """Refuses a word that is none of those that a setting knows.

    Args:
        key: of the setting, as it stands in the configuration.
        value: what was given.
        words: a `Literal` type.

    Raises:
        InputError: it is none of them.
    """
    if value not in get_args(words):
        raise InputError(f"{key}={value}: expected {', '.join(get_args(words))}")


def first_line(error: Exception) -> str:
    """What an error says, in one line; its kind where it says nothing."""
    return (str(error).splitlines() or [type(error).__name__])[0]


def near(name: str, known: Iterable[str]) -> str:
    """What comes near a name that is not known; all that are, where nothing does."""
    names = sorted(known)
    close = get_close_matches(name, names, n=3, cutoff=0.6)
    return f"close to it: {', '.join(close)}" if close else f"known are {', '.join(names)}"
