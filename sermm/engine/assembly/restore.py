"""Takes a finished run back from its folder.

What `sermm evaluate`, `predict` and `explain` start from. The folder has all that is needed but the
weights of encoders that were not trained, which come from where they came from first. The system is
live: a run that was trained on stored features encodes by itself now, and can hear anything.
"""

from dataclasses import dataclass
from pathlib import Path

from sermm.configuration.verbs import RunConfig
from sermm.core.errors import InputError
from sermm.engine.assembly.build import build, read_weights
from sermm.engine.assembly.trust import refuse_untrusted, trusted_packages
from sermm.models.base import System
from sermm.runs.folder import RunFolder
from sermm.runs.layout import CONFIG
from sermm.runs.result import Result


@dataclass(frozen=True)
class Restored:
    """A trained system.

    Attributes:
        folder: of the run.
        config: its configuration, as it was resolved when it ran.
        result: what it came to.
        system: with the weights of the chosen epoch, on the CPU in evaluation mode.
    """

    folder: RunFolder
    config: RunConfig
    result: Result
    system: System


def restore(path: Path, trust: str | None = None) -> Restored:
    """Builds the run's system with its chosen weights.

    Args:
        path: of a run folder.
        trust: packages of own code that it may name, separated by commas, beside $SERMM_TRUST.

    Raises:
        InputError: the run is not finished, or its files are broken, or it is a combination, or it
            names what a run is not made of.
    """
    folder = RunFolder(path)
    result = folder.finished()
    # An average of predictions: there is no system to ask about other utterances.
    if result.parts is not None:
        raise InputError(
            f"{path} is a combination and has no weights; use its parts: {', '.join(result.parts)}"
        )
    config = RunConfig.load(path / CONFIG)
    refuse_untrusted(config, trusted_packages(trust))
    system = build(config, len(result.classes), folder.assets, transcripts=())
    read_weights(system, folder.best)
    return Restored(folder, config, result, system.eval())
