"""Takes a finished run back from its folder."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sermm.configuration.verbs import RunConfig
from sermm.core.errors import InputError
from sermm.engine.assembly.build import build, read_weights
from sermm.models.base import System
from sermm.runs.folder import RunFolder


@dataclass(frozen=True)
class Restored:
    """A trained system.

    Attributes:
        folder: of the run.
        config: its configuration.
        result: its `result.json`.
        system: with the weights of the chosen epoch.
    """

    folder: RunFolder
    config: RunConfig
    result: dict[str, Any]
    system: System


def restore(path: Path) -> Restored:
    """Builds the run's system with its chosen weights.

    Raises:
        InputError: the run is not finished, or its files are broken.
    """
    folder = RunFolder(path)
    result = folder.result
    if result is None:
        raise InputError(
            f"{path} is {folder.state or 'not started'}, not finished; the command that started "
            "it resumes it"
        )
    if "parts" in result:
        raise InputError(
            f"{path} is a combination and has no weights; use its parts: "
            f"{', '.join(result['parts'])}"
        )
    config = RunConfig.load(path / "config.yaml")
    system = build(config, len(result["classes"]), folder.assets, transcripts=())
    read_weights(system, folder.best)
    return Restored(folder, config, result, system.eval())
