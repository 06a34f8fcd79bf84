"""sermm bench [CASE ...] [format=json]: measure speed against the bare operations underneath.

  sermm bench
  sermm bench epoch index

Cases: help (start-up), index (reading IEMOCAP's layout), epoch (Lightning and the data module
against a bare loop), memory (1x against 10x utterances), features (extraction against bare loops),
store (the feature store against bare files and copies), again (a second extraction), cached
(training on stored features against padded batches), extract-memory (1x against 10x speech). A
figure over its limit gives exit status 1.
"""

import json
import sys
from collections.abc import Sequence
from dataclasses import asdict

from sermm.cli.arguments import choice, parse
from sermm.core.errors import InputError


def run(arguments: Sequence[str]) -> int:
    """Measures; returns the exit status."""
    words, own = parse(arguments, {"format": "table"}, "sermm bench [CASE ...] [format=table|json]")
    output = choice(own["format"], "format", ("table", "json"))

    from sermm.engine.bench import CASES

    if unknown := sorted(set(words) - set(CASES)):
        raise InputError(f"no case {', '.join(unknown)}; there are {', '.join(CASES)}")
    measures = []
    for name in words or CASES:
        print(f"measuring {name} ...", file=sys.stderr, flush=True)
        measures += CASES[name]()
    if output == "json":
        print(json.dumps([asdict(m) for m in measures], indent=2))
    else:
        for m in measures:
            limit = "" if m.limit is None else f"  (limit {m.limit:g})"
            print(f"{m.case:<15}{m.what:<44}{m.value:>9.3f} {m.unit}{limit}")
    return int(any(m.limit is not None and m.value > m.limit for m in measures))
