"""Times as Slurm writes and takes them."""

import re
from typing import Final

_LIMIT: Final = re.compile(r"(?:(?P<days>\d+)-)?(?P<clock>\d+(?::\d+){0,2})")
_SIGNAL: Final = re.compile(r"(?P<who>[RB]{1,2}:)?(?:SIG)?[A-Z0-9]+(?:@(?P<lead>\d+))?")
# Slurm's own, where a signal names none.
_LEAD_S: Final = 60
_UNLIMITED: Final = ("UNLIMITED", "INFINITE")


def seconds_of(time: str) -> int | None:
    """Seconds of a time limit: `90` (minutes), `30:00`, `8:00:00`, `2-12`, `2-03:04:05`.

    Returns:
        None where there is no limit.

    Raises:
        ValueError: it is no time.
    """
    if time.upper() in _UNLIMITED:
        return None
    if (found := _LIMIT.fullmatch(time)) is None:
        raise ValueError("expected minutes, H:MM:SS or days-hours, such as 90, 8:00:00 or 2-12")
    parts = [int(part) for part in found["clock"].split(":")]
    if found["days"] is not None:
        hours, minutes, seconds = [*parts, 0, 0][:3]
        return ((int(found["days"]) * 24 + hours) * 60 + minutes) * 60 + seconds
    # One number is minutes, two are minutes and seconds.
    hours, minutes, seconds = parts if len(parts) == 3 else (0, *[*parts, 0][:2])
    return (hours * 60 + minutes) * 60 + seconds


def lead_of(signal: str) -> int:
    """How many seconds before the limit a signal comes, as `--signal=USR1@120` says it.

    Raises:
        ValueError: it is none, or it does not reach the runs.
    """
    if (found := _SIGNAL.fullmatch(signal)) is None:
        raise ValueError("expected a signal and seconds before the time limit, such as USR1@120")
    if "B" in (found["who"] or ""):
        raise ValueError("expected no B:, by which it would reach the script and not the runs")
    return _LEAD_S if found["lead"] is None else int(found["lead"])


def clock(seconds: int) -> str:
    """Seconds as Slurm prints them, `2-03:04:05`."""
    minutes, left = divmod(seconds, 60)
    hours, minutes = divmod(minutes, 60)
    days, hours = divmod(hours, 24)
    return f"{f'{days}-' if days else ''}{hours:02d}:{minutes:02d}:{left:02d}"
