"""`search.json` of a study: what a search (`search=optuna`) has tried so far.

The search writes it anew after every trial, out of what Optuna keeps; the report reads it, without
Optuna. Which runs a trial is of stands here, as two trials may come to the same runs.
"""

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

from sermm.core.damage import in_words
from sermm.core.errors import InputError
from sermm.core.files import read_json, write_json
from sermm.runs.fields import record

SEARCH = "search.json"


@dataclass(frozen=True)
class Trial:
    """Settings that were tried.

    Attributes:
        number: Optuna's, from 0; those of trials that were stopped are not there.
        settings: words of `sermm train`, those that were searched.
        value: validation UA, the mean over the folds, a fraction; None: it failed.
        runs: the keys of its runs, by fold.
    """

    number: int
    settings: tuple[str, ...]
    value: float | None
    runs: tuple[str, ...]


@dataclass(frozen=True)
class Search:
    """A search.

    Attributes:
        direction: "maximize" or "minimize".
        trials: by number, those that have ended.
        best: the number of the chosen one; None while none has finished.
        command: trains what was chosen on all folds of the protocol, with its test part; empty
            where it cannot be said.
    """

    direction: str
    trials: tuple[Trial, ...]
    best: int | None = None
    command: str = ""

    @property
    def sign(self) -> Literal[1, -1]:
        """What values are multiplied by so that more is better."""
        return -1 if self.direction == "minimize" else 1


def write_search(study_dir: Path, search: Search) -> None:
    """Writes it into the folder of its study, whole or not at all."""
    write_json(study_dir / SEARCH, asdict(search))


def read_search(study_dir: Path) -> Search | None:
    """The search of a study; None if there has been none.

    Raises:
        InputError: the file is damaged.
    """
    path = study_dir / SEARCH
    try:
        return record(Search, read_json(path), SEARCH)
    except FileNotFoundError:
        return None
    except (OSError, ValueError, RecursionError) as error:
        raise InputError(
            f"{path} is damaged: {in_words(error)}; remove it, the search's own command writes it "
            "anew"
        ) from error
