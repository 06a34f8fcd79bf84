"""sermm predict RUN FILE... [text="what is said"] [format=json]: label audio with a trained run.

RUN is a run folder, a key, STUDY/KEY, or 'STUDY:MODEL KEY=VALUE ...' such as 'first:caf fold=1'.
Files may have any sampling rate and channel count; what is longer than the run's
trainer.max_seconds is cut. Without text= a system that reads text sees an empty
transcript, and says so.

  sermm predict runs/first/0123456789abcdef call.wav
  sermm predict 0123456789abcdef call.wav text="I told you so" format=json

Keys: text, trust (packages of own code that the run may name), format (table | json), runs_dir.
"""

import json
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from sermm.cli.arguments import choice, parse, runs_folder
from sermm.core.errors import InputError
from sermm.core.figures import fixed


def run(arguments: Sequence[str]) -> int:
    """Predicts; returns the exit status."""
    usage = 'sermm predict RUN FILE... [text="..."] [format=table|json]'
    words, own = parse(
        arguments, {"text": None, "trust": None, "format": "table", "runs_dir": None}, usage
    )
    output = choice(own["format"], "format", ("table", "json"))
    if len(words) < 2:
        raise InputError(f"give a run and at least one file. Usage: {usage}")

    from sermm.core.records import LEVELS
    from sermm.engine.assembly.restore import restore
    from sermm.engine.predict import label_files
    from sermm.runs.find import find_run

    restored = restore(find_run(words[0], runs_folder(own["runs_dir"])), own["trust"])
    if restored.system.text_encoder is not None and own["text"] is None:
        print("no text= given: the system sees an empty transcript", file=sys.stderr)
    if restored.system.needs.intersection(LEVELS):
        print("nothing aligns the files: each is taken as one unit of speech", file=sys.stderr)
    found = label_files(restored, [Path(word) for word in words[1:]], own["text"])
    if output == "json":
        print(json.dumps([{**asdict(f), "path": str(f.path)} for f in found], indent=2))
        return 0
    for f in found:
        shares = "  ".join(f"{c} {fixed(p, 3)}" for c, p in f.probabilities.items())
        print(f"{f.path}  {f.label}  {shares}")
    return 0
