"""sermm forget RUN | STUDY [state=...] [yes=true]: remove runs that are not wanted any more.

RUN is a run folder, a key, STUDY/KEY, or 'STUDY:MODEL KEY=VALUE ...' for all that fit; of a whole
STUDY say the state. Shows what would go; with yes=true it goes: the folders, with what the plans of
sweeps say of these runs, so that neither status nor report miss them. What is running is never
forgotten, nor anything outside runs_dir. What was trained is gone: the sweep's command trains it
anew.

  sermm forget first state=failed
  sermm forget first state=failed,interrupted yes=true
  sermm forget 'first:late_fusion fold=2 trainer.max_epochs=3' yes=true
  sermm forget 0123456789abcdef yes=true

Keys: state (all, or some of failed, unreadable, cancelled, interrupted, not_submitted, waiting,
finished), yes (true | false), format (table | json), runs_dir.
Exit status: 1 if something that was meant stays, else 0.
"""

import json
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from sermm.cli.status import states_of
from sermm.configuration.arguments import choice, flag, parse, runs_folder
from sermm.core.errors import InputError
from sermm.runs.status import ALIVE

if TYPE_CHECKING:
    from sermm.sweeps.study import Entry

USAGE = "sermm forget RUN|STUDY [state=failed,interrupted] [yes=true] [runs_dir=FOLDER]"
_TITLE = ("model", "protocol", "fold", "seed")


def run(arguments: Sequence[str]) -> int:
    """Shows or removes; returns the exit status.

    Raises:
        InputError: wrong use, or there is no such run or study.
    """
    known = {"state": None, "yes": "false", "format": "table", "runs_dir": None}
    words, given = parse(arguments, known, USAGE)
    if len(words) != 1:
        raise InputError(f"expected one run or study, got {words or 'none'}. Usage: {USAGE}")
    output, yes = choice(given["format"], "format", ("table", "json")), flag(given["yes"], "yes")
    states = states_of(given["state"], USAGE)
    if states is not None and given["state"] != "all" and (alive := ALIVE & set(states)):
        raise InputError(f"state={min(alive)}: what is at work is not forgotten; stop it first")

    from sermm.sweeps.forgetting import forget, unwanted

    found = unwanted(words[0], states, runs_folder(given["runs_dir"]))
    found = forget(found) if yes else found
    if output == "json":
        runs = [{"state": one.state, "name": one.name} for one in found.entries]
        record = {"study": str(found.study), "forgotten": yes, "runs": runs, "kept": found.kept}
        print(json.dumps(record, indent=2, ensure_ascii=False))
    else:
        _show(found.study, found.entries, yes)
    for why in found.kept:
        print(f"kept: {why}", file=sys.stderr)
    return int(bool(found.kept))


def _show(study: Path, found: Sequence["Entry"], gone: bool) -> None:
    for one in found:
        print("  ".join(part for part in (one.state, one.name, _told(one), one.reason) if part))
    n = len(found)
    runs = f"{n:,} run{'' if n == 1 else 's'}"
    if not found:
        print(f"study {study}: nothing to forget")
    elif gone:
        again = shlex.join(["sermm", "report", str(study)])
        print(f"study {study}: {runs} forgotten; {again} makes its tables anew")
    else:
        print(f"study {study}: {runs} would go; yes=true removes them")


def _told(entry: "Entry") -> str:
    from sermm.sweeps.study import told

    known = told(entry)
    return " ".join(f"{name} {known[name]}" for name in _TITLE if name in known)
