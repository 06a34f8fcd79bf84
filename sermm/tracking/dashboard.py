"""What a W&B workspace and report show of a study: plain data, so that it can be read offline.

Every key is one of `sermm.tracking.names`, so that a panel asks for nothing that runs do not log;
`sermm.tracking.workspace` turns the data into W&B's own objects, and needs a further package.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

from sermm.tracking import names as tracked
from sermm.tracking.study import Project

Kind = Literal["curves", "bars", "matrix", "table"]


@dataclass(frozen=True)
class Panel:
    """One panel.

    Attributes:
        kind: curves over the epochs, bars of a summary: both with mean and standard deviation
            where runs are put together; matrix: a confusion matrix; table.
        title: above it.
        keys: what runs have logged.
        by: the key of the configuration whose values are put together.
    """

    kind: Kind
    title: str
    keys: tuple[str, ...]
    by: str | None = None


@dataclass(frozen=True)
class Section:
    """Panels under one heading."""

    name: str
    panels: tuple[Panel, ...]


@dataclass(frozen=True)
class Dashboard:
    """What is created or updated.

    Attributes:
        name: of workspace and report, by which people find them.
        project: of W&B.
        entity: user or team; None = the default of whoever is logged in.
        study: as the runs call it.
        study_key: the key of the configuration that chooses the runs, those with `study`.
        group_by: keys of the configuration that runs are grouped by.
        columns: summaries that stand beside each run.
        sections: from top to bottom.
    """

    name: str
    project: str
    entity: str | None
    study: str
    study_key: str
    group_by: tuple[str, ...]
    columns: tuple[str, ...]
    sections: tuple[Section, ...]

    def as_json(self) -> dict[str, Any]:
        """Its fields, as `sermm dashboard` prints them where nothing is sent."""
        return asdict(self)

    @property
    def keys(self) -> set[str]:
        """Everything that it needs of history and summary; tests compare it with what runs log."""
        return {*self.columns, *(k for s in self.sections for p in s.panels for k in p.keys)}

    @property
    def config_keys(self) -> set[str]:
        """Everything that it needs of the configuration."""
        by = {p.by for s in self.sections for p in s.panels if p.by is not None}
        return {self.study_key, *self.group_by, *by}


def dashboard(where: Project) -> Dashboard:
    """The dashboard of a study."""
    return Dashboard(
        name=f"{where.study}: models x folds",
        project=where.project,
        entity=where.entity,
        study=where.study,
        study_key=tracked.STUDY,
        group_by=(tracked.PROTOCOL, tracked.SYSTEM),
        columns=("test/ua", "test/wa", "test/f1_macro", "val/ua", "epochs/best", tracked.STATUS),
        sections=(
            _scores(),
            _curves("Curves by system: mean and sd over folds and seeds", tracked.SYSTEM),
            _curves("Curves of each system's folds", tracked.SYSTEM_FOLD),
            _classes(where.classes),
        ),
    )


def _scores() -> Section:
    """The study's own tables, and bars over its runs."""
    return Section(
        "Scores",
        (
            Panel("table", "UA of models x folds", (tracked.STUDY_FOLDS,)),
            Panel("table", "pooled UA with 95 % intervals", (tracked.STUDY_INTERVALS,)),
            Panel("table", "all scores", (tracked.STUDY_ROWS,)),
            Panel("bars", "UA on test: mean and sd of the runs", ("test/ua",), tracked.SYSTEM),
            Panel("bars", "WA on test: mean and sd of the runs", ("test/wa",), tracked.SYSTEM),
        ),
    )


def _curves(title: str, by: str) -> Section:
    """One panel a figure, in it one line for each value of a key, with a band."""
    shown = (*tracked.LOSSES, *tracked.SCORES, *tracked.RATIOS)
    return Section(title, tuple(Panel("curves", name, (name,), by) for name in shown))


def _classes(classes: Sequence[str]) -> Section:
    """Confusion matrices and recalls, and the predictions themselves."""
    matrices = (
        Panel("matrix", f"confusion, {split}", (tracked.chart_table(tracked.confusion(split)),))
        for split in tracked.SPLITS
    )
    return Section(
        "Classes",
        (
            *matrices,
            Panel(
                "curves",
                "recall on validation",
                tuple(tracked.recalls(classes, "val")),
                tracked.SYSTEM,
            ),
            Panel(
                "bars", "recall on test", tuple(tracked.recalls(classes, "test")), tracked.SYSTEM
            ),
            Panel("table", "predictions", (tracked.PREDICTIONS,)),
        ),
    )
