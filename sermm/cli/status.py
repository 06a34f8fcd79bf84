"""sermm status STUDY [key=value ...]: what became of every run that a study was asked for.

STUDY is a name under runs_dir (default: $SERMM_RUNS, or runs) or a folder. First the counts by
state, then the runs that are not finished, 20 of each state at most; state= lists all of the states
that it names, finished ones with their test UA, trials of a search with their validation UA.

  sermm status first
  sermm status first state=failed,interrupted
  sermm status first state=all format=json

failed: with the last line of the error, and the logs. interrupted: stopped, preempted, or without a
sign of life for 5 minutes; the same sweep again, or `sermm retry`, resumes it. running: with the
last epoch and its validation UA. waiting: planned by a sweep, without a run folder so far.
unreadable: the folder is half-written or damaged.

Of what was handed to Slurm, squeue is asked once: queued, with Slurm's reason; starting, the script
has begun and the run has not; cancelled, before it began; not_submitted, its script was only
written. Where squeue is not at hand these are waiting, and a line says so.

Keys: state (all, or some of failed, unreadable, cancelled, interrupted, not_submitted, running,
starting, queued, waiting, finished), format (table | json), runs_dir.
Exit status: 1 if a run failed or is unreadable, else 0, be the study finished or still going on.
"""

import json
import shlex
from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path

from sermm.configuration.arguments import choice, parse, runs_folder
from sermm.core.errors import InputError
from sermm.core.figures import percent
from sermm.runs.status import STATES, State
from sermm.runs.studies import find_study
from sermm.sweeps.slurm.states import entries
from sermm.sweeps.study import Details, Entry, as_json, details

USAGE = "sermm status STUDY [state=failed,running] [format=table|json] [runs_dir=FOLDER]"
# Ten thousand lines help nobody who has not asked for them.
SHOWN = 20
# Of these, a log is no news.
_WELL = ("running", "starting", "queued", "finished")
_TITLE = ("model", "protocol", "fold", "seed")
_HEAD = ("state", "run", *_TITLE, "")


def run(arguments: Sequence[str]) -> int:
    """Prints how a study stands.

    Raises:
        InputError: wrong use, or there is no such study.
    """
    words, given = parse(
        list(arguments), {"state": None, "format": "table", "runs_dir": None}, USAGE
    )
    if len(words) != 1:
        raise InputError(f"expected one study, got {words or 'none'}. Usage: {USAGE}")
    output = choice(given["format"], "format", ("table", "json"))
    asked = states_of(given["state"], USAGE)
    study_dir = find_study(words[0], runs_folder(given["runs_dir"]))
    found = entries(study_dir)
    counts = Counter(entry.state for entry in found)
    by_state = {
        state: [entry for entry in found if entry.state == state]
        for state in asked or STATES[:-1]
        if counts[state]
    }
    if output == "json":
        runs = [as_json(entry, study_dir) for same in by_state.values() for entry in same]
        counted = {state: counts[state] for state in STATES}
        listing = {"study": study_dir.resolve().name, "counts": counted, "runs": runs}
        print(json.dumps(listing, indent=2, ensure_ascii=False))
    else:
        print(_counted(study_dir, counts))
        _show(by_state, study_dir, SHOWN if asked is None else len(found))
    return int(counts["failed"] + counts["unreadable"] > 0)


def states_of(value: str | None, usage: str) -> tuple[State, ...] | None:
    """The states that `state=` names, in a fixed order; None where it is not given.

    Raises:
        InputError: one of them is none.
    """
    if value is None or value == "all":
        return STATES if value else None
    asked = [name.strip().replace(" ", "_") for name in value.split(",")]
    if strange := [name for name in asked if name not in STATES]:
        raise InputError(
            f"state={value}: {strange[0]!r} is no state; expected all, or some of "
            f"{', '.join(STATES)}. Usage: {usage}"
        )
    return tuple(state for state in STATES if state in asked)


def _counted(study_dir: Path, counts: Counter[State]) -> str:
    parts = [f"{counts[state]:,} {_shown(state)}" for state in reversed(STATES) if counts[state]]
    total = counts.total()
    runs = f"{total:,} run{'' if total == 1 else 's'}"
    return f"study {study_dir.resolve().name}, {runs}: {', '.join(parts) or 'none'}"


def _show(by_state: Mapping[State, Sequence[Entry]], study_dir: Path, most: int) -> None:
    """One table, so that the columns of all states align; logs and remainders below their rows."""
    rows: list[tuple[Sequence[str], list[str]]] = []
    for state, same in by_state.items():
        rows += [_row(entry, details(entry, study_dir)) for entry in same[:most]]
        if len(same) > most:
            ask = shlex.join(["sermm", "status", study_dir.name, f"state={state}"])
            rows[-1][1].append(f"... and {len(same) - most:,} more: {ask}")
    if not rows:
        return
    widths = [
        max(map(len, column)) for column in zip(_HEAD, *(row for row, _ in rows), strict=True)
    ]
    for row, below in [(_HEAD, []), *rows]:
        cells = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        print("  ".join(cells).rstrip(), *below, sep="\n")


def _row(entry: Entry, known: Details) -> tuple[Sequence[str], list[str]]:
    title = [known.title.get(name, "") for name in _TITLE]
    logs = [] if entry.state in _WELL else [known.log, known.task_log]
    below = [f"  {log}" for log in logs if log]
    return (_shown(entry.state), entry.name, *title, _remarks(entry, known)), below


def _shown(state: State) -> str:
    return state.replace("_", " ")


def _remarks(entry: Entry, known: Details) -> str:
    """What matters most in the state, for people."""
    remarks = [entry.reason]
    if entry.state == "running":
        remarks.append("no epoch yet" if known.epoch is None else f"epoch {known.epoch}")
        remarks += [] if known.val_ua is None else [f"val UA {percent(known.val_ua)}"]
        remarks += [f"sign of life {_ago(entry.heartbeat)} ago"] if entry.heartbeat else []
    if entry.state == "waiting" and known.log:
        remarks.append("began, and has made no run folder; its log:")
    if entry.state == "finished":
        part, ua = ("val", known.val_ua) if known.test_ua is None else ("test", known.test_ua)
        remarks.append("no test UA" if ua is None else f"{part} UA {percent(ua)}")
    remarks += [f"Slurm {entry.slurm}"] if entry.slurm and entry.slurm not in entry.reason else []
    return ", ".join(filter(None, remarks))


def _ago(then: datetime) -> str:
    seconds = max(0, round((datetime.now(UTC) - then).total_seconds()))
    return f"{seconds} s" if seconds < 120 else f"{seconds // 60} min"
