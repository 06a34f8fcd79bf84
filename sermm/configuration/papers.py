"""Tables of papers (`conf/paper`), and which of their cells a system is.

A cell's metric is its table's unless it has one of its own, of those that
`sermm.report.tables.measures` lists.
A cell names its system by variant: a model and its streams, `coattention text+frame+phone`, or
`combination of ...` for an average of logits.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from sermm.core.errors import InputError
from sermm.metrics.names import METRICS

PaperTable = dict[str, Any]


def variant_of(model: Mapping[str, Any]) -> str:
    """The system's name in tables of papers: its own, with its streams if it has any."""
    streams = model.get("streams")
    return f"{model['variant']} {'+'.join(streams)}" if streams else str(model["variant"])


def combined(variants: Sequence[str]) -> str:
    """The variant of an average of the logits of systems."""
    return f"combination of {', '.join(sorted(variants))}"


def tables_with(variant: str, tables: Sequence[PaperTable]) -> list[PaperTable]:
    """The tables that have a cell of this system."""
    return [t for t in tables if any(cell["system"] == variant for cell in t["cells"])]


def figures(variant: str, tables: Sequence[PaperTable]) -> list[dict[str, Any]]:
    """The scores that papers print for this system; one that a paper repeats comes once."""
    found: dict[tuple[Any, ...], dict[str, Any]] = {}
    for table in tables:
        # A paper may print a figure of another metric or protocol than its table's.
        usual = {"metric": table["metric"], "protocol": table["protocol"], "note": ""}
        setup = {"setup": table["setup"]} if table.get("setup") is not None else {}
        for cell in ({**usual, **cell} for cell in table["cells"]):
            metric = cell["metric"]
            # A gain is no score of the system, and what a paper does not print is none.
            is_score = cell["value"] is not None and not cell.get("minus")
            if cell["system"] == variant and metric in METRICS and is_score:
                place = f"{table['title']}: {cell['row']}, {cell['column']}"
                figure = {
                    "source": f"{table['source']}, {place}",
                    "metric": metric,
                    "value": cell["value"],
                    "protocol": cell["protocol"],
                    "data": table["data"],
                    "note": cell["note"],
                    **setup,
                }
                found.setdefault((table["source"], metric, cell["value"]), figure)
    return list(found.values())


def with_papers(model: dict[str, Any]) -> dict[str, Any]:
    """The configuration of a system with its own tables and figures out of those of the papers.

    Raises:
        InputError: `model.papers` holds something else.
    """
    for name, paper in model["papers"].items():
        if not isinstance(paper, dict) or not all(isinstance(t, dict) for t in paper.values()):
            raise InputError(f"model.papers.{name}={paper}: expected a file of conf/paper")
    every = [table for paper in model["papers"].values() for table in paper.values()]
    variant = variant_of(model)
    tables = tables_with(variant, every)
    return {
        **model,
        "variant": variant,
        "papers": tables,
        "published": [*figures(variant, tables), *model["published"]],
    }
