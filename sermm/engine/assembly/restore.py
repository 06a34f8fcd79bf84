"""Takes a finished run back from its folder."""

from dataclasses import dataclass
from pathlib import Path

from sermm.configuration.verbs import RunConfig
from sermm.core.errors import InputError
from sermm.engine.assembly.build import build, read_weights
from sermm.models.base import System
from sermm.runs.folder import RunFolder
from sermm.runs.layout import CONFIG
from sermm.runs.result import Result


@dataclass(frozen=True)
class Restored:
    """A trained system.

    Attributes:
        folder: of the run.
        config: its configuration.
        result: what it came to.
        system: with the weights of the chosen epoch.
    """

    folder: RunFolder
    config: RunConfig
    result: Result
    system: System


def restore(path: Path) -> Restored:
    """Builds the run's system with its chosen weights.

    Raises:
        InputError: the run is not finished, or its files are broken.
    """
    folder = RunFolder(path)
    result = folder.finished()
    if result.parts is not None:
        raise InputError(
            f"{path} is a combination and has no weights; use its parts: {', '.join(result.parts)}"
        )
    config = RunConfig.load(path / CONFIG)
    system = build(config, len(result.classes), folder.assets, transcripts=())
    read_weights(system, folder.best)
    return Restored(folder, config, result, system.eval())
