"""sermm bench [CASE ...] [key=value ...]: measure speed against what is bare underneath.

  sermm bench
  sermm bench epoch index
  sermm bench fusion full=true
  sermm bench transcribe id=/models/whisper-base clips=/corpora/emodb

Cases: help (start-up), index (reading IEMOCAP's layout), epoch (Lightning and the data module
against a bare loop), memory (1x against 10x utterances), features (extraction against bare loops),
store (the feature store against bare files and copies), again (a second extraction), cached
(training on stored features against padded batches), extract-memory (1x against 10x speech), fusion
(what fusions cost and what of the whole; full=true also what takes longer than six minutes),
finetune (an epoch of fine-tuning against that of Bian 2024), transcribe (Whisper against the
pipeline of transformers: small and random on noise, or the one in id= on the audio below clips=),
pool (starting a job of a sweep against a fresh process), start (a sweep of short runs against a
command for each), study (status and report of 10,000 runs, 4 GB in the folder for temporary files).
A figure over its limit gives exit status 1.
Keys: full (true | false), format (table | json), id and clips (folders, for transcribe).
"""

import json
import sys
from collections.abc import Sequence
from dataclasses import asdict

from sermm.configuration.arguments import choice, flag, parse
from sermm.core.errors import InputError
from sermm.core.figures import fixed


def run(arguments: Sequence[str]) -> int:
    """Measures; returns the exit status."""
    usage = "sermm bench [CASE ...] [full=true] [id=FOLDER clips=FOLDER] [format=table|json]"
    known = {"format": "table", "full": "false", "id": None, "clips": None}
    words, own = parse(arguments, known, usage)
    output = choice(own["format"], "format", ("table", "json"))
    full = flag(own["full"], "full")

    from sermm.bench.cases import CASES, FULL, transcribing

    cases = CASES | FULL if full else CASES
    if own["id"] or own["clips"]:
        words = words or ["transcribe"]
        cases = cases | {"transcribe": transcribing(own["id"], own["clips"])}

    if unknown := sorted(set(words) - set(cases)):
        raise InputError(f"no case {', '.join(unknown)}; there are {', '.join(cases)}")
    measures = []
    for name in words or cases:
        print(f"measuring {name} ...", file=sys.stderr, flush=True)
        measures += cases[name]()
    if output == "json":
        print(json.dumps([asdict(m) for m in measures], indent=2))
    else:
        for m in measures:
            limit = "" if m.limit is None else f"  (limit {m.limit:g})"
            print(f"{m.case:<15}{m.what:<53}{fixed(m.value, 3):>9} {m.unit}{limit}")
    return int(any(m.limit is not None and m.value > m.limit for m in measures))
