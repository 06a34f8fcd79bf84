"""What a search writes down of itself for the report, and the command that goes on from it."""

import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import Any

# What belongs to the search, and not to the runs that are made of what it found.
_OF_THE_SEARCH = {
    "search",
    "study",
    "fold",
    "withhold_test",
    "hydra.mode",
    "hydra/sweeper",
    "hydra.launcher.folds",
}


def keep(trial: Any, words: Sequence[str], runs: Sequence[str]) -> None:
    """Keeps with a trial what Optuna knows nothing of.

    Args:
        trial: Optuna's, that has ended.
        words: of the command that asked for it, less those that sweep: another command of the same
            search may have others.
        runs: the keys of its runs.
    """
    trial.set_user_attr("words", list(words))
    trial.set_user_attr("runs", list(runs))


def write_record(study: Any, folder: Path) -> None:
    """Writes `search.json` of what Optuna has so far.

    Args:
        study: Optuna's.
        folder: of our study.
    """
    from sermm.runs.trials import Search, Trial, write_search

    # A trial that was stopped has no runs of its own: it is begun again.
    ended = [one for one in study.trials if one.state.is_finished() and "runs" in one.user_attrs]
    trials = [
        Trial(one.number, tuple(settings_of(one)), one.value, tuple(one.user_attrs["runs"]))
        for one in ended
    ]
    best = best_of(study)
    search = Search(
        direction=study.direction.name.lower(),
        trials=tuple(trials),
        best=None if best is None else best.number,
        command="" if best is None else command(best, folder),
    )
    write_search(folder, search)


def best_of(study: Any) -> Any:
    """The best trial; None while none has finished."""
    try:
        return study.best_trial
    except ValueError:
        return None


def settings_of(trial: Any) -> list[str]:
    """What a trial was asked for, as words of `sermm train`."""
    return [f"{key}={value}" for key, value in trial.params.items()]


def command(trial: Any, folder: Path) -> str:
    """What trains the settings of a trial on all folds of its protocol, with the test part.

    Args:
        trial: Optuna's.
        folder: of our study.

    Returns:
        A line for a shell; empty where no run of the trial says how many folds there are.
    """
    from sermm.configuration.words import readable
    from sermm.runs.result import Result

    try:
        words = trial.user_attrs["words"]
        n_folds = Result.read(folder / trial.user_attrs["runs"][0]).n_folds
    except (KeyError, IndexError, OSError, ValueError):
        return ""
    kept = [word for word in [*words, *settings_of(trial)] if not _is_of_the_search(word)]
    study = readable([f"study={folder.resolve().name}-best"])
    folds = f"fold=range(1,{n_folds + 1})" if n_folds > 1 else "fold=1"
    return shlex.join(["sermm", "train", "-m", *kept, folds, *study])


def _is_of_the_search(word: str) -> bool:
    key = word.lstrip("+~").split("=", 1)[0].split("@", 1)[0]
    return key in _OF_THE_SEARCH or key.startswith("hydra.sweeper")
