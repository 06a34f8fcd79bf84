"""What this process takes of the machine's memory, and what is left; of Linux, which tells.

Source: the manual pages proc(5) and proc_pid_clear_refs(5). Without torch or numpy, so that asking
costs nothing of what is asked about.
"""

from pathlib import Path
from typing import Final

_PROC: Final = Path("/proc")
_KB: Final = 1024


def peak_bytes() -> int | None:
    """Peak of this process's resident memory; None where the system does not tell.

    `getrusage` would give the peak of the process that started this one, if larger.
    """
    return _figure(_PROC / "self" / "status", "VmHWM")


def forget_peak() -> bool:
    """Sets the peak back to what is in use now; whether that could be done."""
    try:
        # 5 is the word for the peak of the resident memory.
        (_PROC / "self" / "clear_refs").write_text("5", encoding="ascii")
    except OSError:
        return False
    return True


def available_bytes() -> int | None:
    """What the machine could give without swapping; None where it does not tell."""
    return _figure(_PROC / "meminfo", "MemAvailable")


def _figure(file: Path, name: str) -> int | None:
    """A figure of a file of lines such as `VmHWM:    2000 kB`, in bytes."""
    try:
        lines = file.read_text(encoding="utf-8").splitlines()
    except OSError:
        return None
    found = (line.split()[1] for line in lines if line.startswith(f"{name}:"))
    return next((int(kb) * _KB for kb in found), None)
