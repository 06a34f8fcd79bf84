"""sermm align [key=value ...]: where words, syllables and phones start and end, and who says so.

For each utterance and level the first of align.sources that has units gives them; where none has,
the whole utterance is one unit. Prints by level how many utterances have their units from where,
and what was wrong. What slow aligners find is kept in cache_dir.

  sermm align data=iemocap data.root=/corpora/IEMOCAP_full_release
  sermm align data=ravdess protocol=groups5 align.sources=[pocketsphinx] out=textgrids
  sermm align data=demo align.sources=[pocketsphinx] against=corpus levels=[word]
  sermm align data=manifest ... align.sources=[mfa,ctc] align.mfa_dir=aligned utterance=call_17

Keys: levels (word, syllable, phone), align.sources (corpus, mfa, ctc, pocketsphinx, whole),
align.mfa_dir, align.ctc.id, align.pocketsphinx.dictionary, align.alaska, against (a source to
compare boundaries with), utterance (show its units), out (a folder for one TextGrid an utterance),
format (table | json), text.source, accelerator, cache_dir, and all of data and protocol.
"""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sermm.core.errors import InputError
from sermm.core.figures import fixed, percent
from sermm.core.transcripts import composed
from sermm.report.output.console import problem_parts, simple_table

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.table import Table

    from sermm.configuration.verbs import AlignVerbConfig
    from sermm.core.records import Level
    from sermm.engine.inputs.corpus import Loaded
    from sermm.engine.inputs.units import Units

_NO_FILE_NAME = re.compile(r"[\\\0]|^\.{1,2}$")


def run(arguments: Sequence[str]) -> int:
    """Aligns and prints; returns 0.

    Raises:
        InputError: wrong use, or a corpus or a source that cannot be had.
    """
    from sermm.configuration.verbs import AlignVerbConfig
    from sermm.encoders.precision import refuse_absent
    from sermm.engine.inputs.corpus import load
    from sermm.engine.inputs.units import units

    config = AlignVerbConfig.of(arguments)
    refuse_absent(config.accelerator, "accelerator")
    loaded = load(config)
    if config.utterance is not None:
        loaded = only(loaded, str(config.utterance))
    found = units(config, loaded, config.levels)
    summary = summarise(config, loaded, found)
    if config.out is not None:
        write(Path(config.out).expanduser(), loaded, found)
    if config.format == "json":
        print(json.dumps(summary, indent=2, ensure_ascii=False))
    else:
        print(render(summary), end="")
    return 0


def only(loaded: "Loaded", utterance_id: str) -> "Loaded":
    """The corpus with this one utterance.

    Raises:
        InputError: it is not there.
    """
    wanted = composed(utterance_id)
    members = tuple(u for u in loaded.reading.utterances if composed(u.id) == wanted)
    if not members:
        raise InputError(
            f"utterance={utterance_id}: protocol {loaded.protocol.name} selects no utterance of "
            f"that id ({len(loaded.reading.utterances)} others); `sermm data` lists what it selects"
        )
    problems = tuple(p for p in loaded.reading.problems if p.where == utterance_id)
    return replace(loaded, reading=replace(loaded.reading, utterances=members, problems=problems))


def summarise(
    config: "AlignVerbConfig", loaded: "Loaded", found: "Mapping[Level, Units]"
) -> dict[str, Any]:
    """All that is printed, as JSON."""
    from sermm.engine.inputs.unit_report import agreement, counts
    from sermm.engine.inputs.unit_sources import make_source
    from sermm.engine.inputs.units import units_from

    members = loaded.reading.utterances
    problems = dict.fromkeys(loaded.reading.problems)
    problems |= dict.fromkeys(p for known in found.values() for p in known.problems)
    summary: dict[str, Any] = {
        "data": config.data.name,
        "utterances": len(members),
        "seconds": sum(loaded.durations[u.id] for u in members),
        "levels": {level: counts(known, loaded.durations) for level, known in found.items()},
        "problems": [{"where": p.where, "kind": p.kind, "what": p.what} for p in problems],
    }
    if config.utterance is not None:
        summary["units"] = [
            {"level": s.level, "start_s": s.start_s, "end_s": s.end_s, "symbol": s.symbol}
            | {"source": s.source}
            for known in found.values()
            for s in known.spans[members[0].id]
        ]
    if (name := config.against) is not None:
        source = make_source(name, config, loaded)
        others = units_from([source], loaded, list(found), config.align.alaska)
        summary["against"] = {"source": name, "levels": agreement(found, others)}
    return summary


def write(folder: Path, loaded: "Loaded", found: "Mapping[Level, Units]") -> None:
    """One TextGrid an utterance, in the folders of its id: `align.mfa_dir` finds them again."""
    from sermm.units.textgrid import write_textgrid

    for u in loaded.reading.utterances:
        units = {level: known.spans[u.id] for level, known in found.items()}
        parts = [_NO_FILE_NAME.sub("_", part) for part in u.id.split("/") if part]
        path = folder.joinpath(*parts[:-1], f"{parts[-1]}.TextGrid")
        write_textgrid(path, units, loaded.durations[u.id])


def render(summary: Mapping[str, Any]) -> str:
    """The summary as text tables."""
    from rich.console import Console

    parts: list[RenderableType] = [
        f"{summary['data']}: {summary['utterances']} utterances, "
        f"{fixed(summary['seconds'] / 3600, 2)} h",
        _level_table(summary["levels"]),
    ]
    if "units" in summary:
        parts.append(_unit_table(summary["units"]))
    if "against" in summary:
        parts += _agreement_parts(summary["against"])
    parts += problem_parts(summary["problems"])
    console = Console(markup=False, highlight=False, emoji=False)
    with console.capture() as capture:
        console.print(*parts, sep="\n")
    return capture.get()


def _level_table(levels: Mapping[str, Mapping[str, Any]]) -> "Table":
    table = simple_table("units", "utterances by source", "number", "a second", "mean", "median")
    for level, row in levels.items():
        sources = ", ".join(f"{source} {n}" for source, n in row["utterances"].items())
        rate = "-" if row["per_second"] is None else fixed(row["per_second"], 2)
        lengths = (_ms(row[key]) for key in ("mean_s", "median_s"))
        table.add_row(f"{level}s", sources, str(row["units"]), rate, *lengths)
    return table


def _unit_table(units: Sequence[Mapping[str, Any]]) -> "Table":
    table = simple_table("level", "start", "end", "symbol", "source")
    for unit in units:
        times = (f"{fixed(unit[key], 3)} s" for key in ("start_s", "end_s"))
        table.add_row(unit["level"], *times, unit["symbol"], unit["source"])
    return table


def _agreement_parts(against: Mapping[str, Any]) -> list["RenderableType"]:
    table = simple_table(
        "units", "number", "matched", "median", "mean", "<=10 ms", "<=20 ms", "<=50 ms"
    )
    for level, row in against["levels"].items():
        for side in ("starts", "ends"):
            cells = ["-"] * 5
            if (found := row[side]) is not None:
                cells = [_ms(found["median_s"]), _ms(found["mean_s"])]
                cells += [f"{percent(v)} %" for k, v in found.items() if k.startswith("within")]
            table.add_row(f"{level} {side}", str(row["units"]), str(row["matched"]), *cells)
    return [f"Boundaries, how far from those of source {against['source']}:", table]


def _ms(seconds: float | None) -> str:
    return "-" if seconds is None else f"{fixed(seconds, 0, 1000)} ms"
