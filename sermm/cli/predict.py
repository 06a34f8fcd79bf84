"""sermm predict RUN FILE... [text="what is said"] [format=json]: label audio with a trained run.

RUN is a run folder, a key, STUDY/KEY, or 'STUDY:MODEL KEY=VALUE ...' such as 'first:caf fold=1'.
Files may have any sampling rate and channel count; what is longer than the run's
trainer.max_seconds is cut, and the answer says so: in its row, and in JSON as seconds,
used_seconds and remarks. Remarks also name silence, clipping and the like. A file that cannot be
used is named on stderr (in JSON as error), the others are answered, and the exit status is 1.
Without text= a system that reads text sees an empty transcript, and says so.

  sermm predict runs/first/0123456789abcdef call.wav
  sermm predict 0123456789abcdef call.wav text="I told you so" format=json

Keys: text, trust (packages of own code that the run may name), format (table | json), runs_dir.
"""

import json
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from sermm.configuration.arguments import choice, parse, runs_folder
from sermm.core.errors import InputError
from sermm.core.figures import fixed
from sermm.core.files import exists

if TYPE_CHECKING:
    from sermm.engine.predict import Labelled

USAGE = 'sermm predict RUN FILE... [text="..."] [format=table|json]'


def run(arguments: Sequence[str]) -> int:
    """Predicts; returns the exit status: 1 if a file has no label.

    Raises:
        InputError: wrong use, or a run that cannot be had.
    """
    words, own = parse(
        arguments, {"text": None, "trust": None, "format": "table", "runs_dir": None}, USAGE
    )
    output = choice(own["format"], "format", ("table", "json"))
    if len(words) < 2:
        raise InputError(f"give a run and at least one file. Usage: {USAGE}")

    from sermm.core.records import LEVELS
    from sermm.engine.assembly.restore import restore
    from sermm.engine.predict import label_files
    from sermm.runs.find import find_run

    runs = runs_folder(own["runs_dir"])
    _refuse_runs(words[1:], runs)
    restored = restore(find_run(words[0], runs), own["trust"])
    if restored.system.text_encoder is not None and own["text"] is None:
        print("no text= given: the system sees an empty transcript", file=sys.stderr)
    if restored.system.needs.intersection(LEVELS):
        print("nothing aligns the files: each is taken as one unit of speech", file=sys.stderr)
    found = label_files(restored, [Path(word) for word in words[1:]], own["text"])
    if output == "json":
        print(json.dumps([{**asdict(f), "path": str(f.path)} for f in found], indent=2))
    else:
        for one in found:
            if one.label is not None:
                print(row(one))
    return _say(found)


def row(found: "Labelled") -> str:
    """What is said of a file in one line, for people."""
    shares = "  ".join(f"{c} {fixed(p, 3)}" for c, p in (found.probabilities or {}).items())
    heard, seconds = found.used_seconds or 0.0, found.seconds or 0.0
    cut = f"  (of its first {fixed(heard, 2)} s; it lasts {fixed(seconds, 2)} s)"
    return f"{found.path}  {found.label}  {shares}{cut if heard < seconds else ''}"


def _say(found: Sequence["Labelled"]) -> int:
    """Says on stderr what to know of the answers, and which files have none."""
    for remark in dict.fromkeys(remark for f in found for remark in f.remarks):
        print(f"note: {remark}", file=sys.stderr)
    bad = [f.error for f in found if f.error is not None]
    if bad:
        print(f"{len(bad)} of {len(found)} files have no label:", *bad, sep="\n", file=sys.stderr)
    return int(bool(bad))


def _refuse_runs(files: Sequence[str], runs_dir: Path) -> None:
    """Refuses what names a run where files are expected."""
    from sermm.runs.find import named
    from sermm.runs.layout import is_run

    for word in files:
        try:
            second = is_run(Path(word)) or (
                not exists(Path(word)) and named(word, runs_dir).folder.is_dir()
            )
        except (InputError, OSError):
            continue
        if second:
            raise InputError(
                f"one run is asked at a time, and {word} is a second one; ask it by a call of its "
                f"own. Usage: {USAGE}"
            )
