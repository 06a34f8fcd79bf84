"""Every exception of a verb as one line and an exit status.

What a user can mend says how (`InputError`, and the system's own refusals). All else is a fault of
sermm, of a package below it, or of somebody's own class: the line says what was raised and where,
and the traceback lies in a file, to be sent along with a report. In logs, which nobody watches, it
is printed: whoever starts processes sets SERMM_TRACEBACK.
"""

import errno
import os
import sys
import tempfile
import traceback
from collections.abc import Mapping
from pathlib import Path

from sermm.core.errors import INTERRUPTED, InputError

TRACEBACK = "SERMM_TRACEBACK"

_ELSEWHERE = "choose another place with runs_dir=, cache_dir= or to="
_WAYS_OUT: Mapping[int, str] = {
    errno.ENOSPC: "make room and give the same command again",
    errno.EDQUOT: "make room and give the same command again",
    errno.EROFS: _ELSEWHERE,
    errno.EACCES: f"check its permissions, or {_ELSEWHERE}",
    errno.EPERM: f"check its permissions, or {_ELSEWHERE}",
    errno.ENOTDIR: "a part of this path is a file; check it",
    errno.EISDIR: "this is a folder, and a file was expected; check the path",
    errno.EEXIST: "something is there already; check the path",
    errno.ENOENT: "check the path",
    errno.ENAMETOOLONG: "names of files may have 255 bytes; give a shorter one",
    errno.EMFILE: "too many files are open at once; raise the limit (ulimit -n)",
    errno.EIO: "the disk or the network that it lies on fails; look at it first",
}


def said(verb: str, error: BaseException) -> int:
    """Says what ended a verb, on stderr.

    Args:
        verb: its name.
        error: what it raised.

    Returns:
        The exit status: 1 failed, 2 wrong use or input, 130 interrupted.
    """
    if isinstance(error, BrokenPipeError):
        # Who read our output, such as `head`, is gone; what was to follow was not done.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    if isinstance(error, KeyboardInterrupt):
        _print(verb, "interrupted; the same command goes on from here")
        return INTERRUPTED
    if isinstance(error, InputError):
        _print(verb, str(error))
        return 2
    refused = _refused(error) if isinstance(error, OSError) else None
    _print(verb, refused or f"{described(error)}{_kept(verb, error)}")
    return 1


def _refused(error: OSError) -> str | None:
    """What the system would not do with a file, and the way out; None where it is no such thing."""
    way_out = _WAYS_OUT.get(error.errno or 0)
    if error.filename is None or way_out is None:
        return None
    return f"{error.filename}: {error.strerror}; {way_out}"


def described(error: BaseException) -> str:
    """An unexpected exception in one line: its kind, its message, and where it was raised."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    frames = traceback.extract_tb(error.__traceback__)
    where = f" ({frames[-1].filename}, line {frames[-1].lineno})" if frames else ""
    return f"{type(error).__name__}{': ' if lines else ''}{' '.join(lines[:3])}{where}"


def _kept(verb: str, error: BaseException) -> str:
    """Where the traceback is."""
    text = "".join(traceback.format_exception(error))
    path = Path(tempfile.gettempdir()) / f"sermm-{verb}-{os.getpid()}.txt"
    try:
        if not os.environ.get(TRACEBACK):
            path.write_text(f"{sys.argv}\n\n{text}", encoding="utf-8")
            return f". This should not happen; please report it, with {path}"
    except OSError:
        pass
    return f"\n{text}"


def _print(verb: str, message: str) -> None:
    print(f"sermm {verb}: {message}", file=sys.stderr)
