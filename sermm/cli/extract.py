"""sermm extract [key=value ...]: store the hidden states of frozen encoders, once for all runs.

What is stored is named by the samples or the text, the encoder's weights, layers, precision and
the libraries: what has not changed is never computed again, what has changed is never mixed up.
It can be stopped and goes on where it was; several processes share the work. Training with
features=cached extracts what it needs by itself.

  sermm extract data.root=/corpora/IEMOCAP_full_release encoder.speech.layers=all
  sermm extract data=emodb data.root=/corpora/emodb encoder.speech.id=microsoft/wavlm-base-plus
  sermm extract data.root=... encoder.speech.layers=all levels=[frame,phone,word] dry_run=true
  sermm extract data.root=... streams=[text] encoder.text.id=roberta-base encoder.text.layers=all

Keys: streams, levels (frame, phone, syllable, word), literal, dry_run, format (table | json), seed,
cache_dir, features.dtype, features.precision, features.batch_seconds, trainer.accelerator,
trainer.max_seconds, and all of data, protocol, encoder/speech, encoder/text, align, text.
"""

import json
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from sermm.core.figures import fixed

if TYPE_CHECKING:
    from sermm.engine.extraction.one_pass import Extracted

_LISTED = 5


def run(arguments: Sequence[str]) -> int:
    """Extracts; returns the exit status.

    Raises:
        InputError: wrong use, a corpus or an encoder that cannot be had, a disk that is too small.
    """
    from sermm.configuration.verbs import ExtractConfig

    config = ExtractConfig.of(arguments)

    from sermm.core.records import LEVELS
    from sermm.encoders.precision import refuse_absent
    from sermm.engine.extraction.extract import extract, wanted
    from sermm.engine.extraction.streams import streams_asked
    from sermm.engine.inputs.corpus import load
    from sermm.engine.inputs.work import work_of

    refuse_absent(config.trainer.accelerator, "trainer.accelerator")
    streams = streams_asked(config)
    loaded = load(config)
    levels = [level for level in LEVELS if any(s.level == level for s in streams)]
    work = work_of(config, loaded, loaded.texts, levels)
    passes = extract(wanted(streams, work), work, config.dry_run)
    rows = [row for done in passes for row in rows_of(done)]
    failures = {i: why for done in passes for i, why in done.failures.items()}
    problems: dict[str, str] = {}
    for p in loaded.reading.problems:
        if p.where not in failures:
            problems[p.where] = "; ".join(filter(None, (problems.get(p.where), p.what)))
    if config.format == "json":
        print(json.dumps({"stores": rows, "failures": failures, "problems": problems}, indent=2))
    else:
        print(text(passes, rows))
        listed("no features", failures)
        listed("problems of the corpus", problems)
    return 1 if failures else 0


def rows_of(done: "Extracted") -> list[dict[str, Any]]:
    """What each store of a pass holds now."""
    return [
        {
            "stream": part.store.description["encoder"],
            "level": part.stream.level,
            "store": part.store.name,
            "items": len(set(part.keys.values())),
            "missing": len(part.store.missing(set(part.keys.values()))),
            "weights": part.store.description["weights"],
        }
        for part in done.parts
    ]


def text(passes: Sequence["Extracted"], rows: Sequence[dict[str, Any]]) -> str:
    """The outcome for people."""
    lines = []
    for done in passes:
        rate = ""
        if done.took_s > 0:
            rate = (
                f" in {fixed(done.took_s, 1)} s, {fixed(done.seconds / done.took_s, 1)}x real time"
            )
        others = f", {done.others} by other processes" if done.others else ""
        lines.append(
            f"{done.parts[0].store.description['encoder']}: {done.stored} were stored, "
            f"{done.computed} computed{rate}" + others
        )
    for row in rows:
        left = f", {row['missing']} missing" if row["missing"] else ""
        lines.append(
            f"  {row['stream']} {row['level']}s: {row['items']} in store {row['store']}{left}"
        )
    return "\n".join(lines)


def listed(title: str, found: dict[str, str]) -> None:
    """The first of what went wrong."""
    if not found:
        return
    print(f"{title}: {len(found)}", file=sys.stderr)
    for where, what in list(found.items())[:_LISTED]:
        print(f"  {where}: {what}", file=sys.stderr)
    if len(found) > _LISTED:
        print(f"  and {len(found) - _LISTED} more (format=json lists all)", file=sys.stderr)
