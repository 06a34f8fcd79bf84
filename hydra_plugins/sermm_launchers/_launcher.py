"""What the launchers of this project share.

Hydra looks for launchers in the modules of `hydra_plugins` without a leading underscore, and
imports them whenever it starts: so what takes time is imported where it is used.
"""

from collections.abc import Sequence

from hydra.plugins.launcher import Launcher
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig

from hydra_plugins.sermm_launchers._loader import SweepLoader


class SweepLauncher(Launcher):
    """Takes what Hydra gives every launcher, and composes the configuration of a job from it."""

    def setup(
        self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig
    ) -> None:
        """Keeps it, and has the sweeper that shares the context compose as the jobs are.

        Args:
            hydra_context: loads configurations.
            task_function: `sermm.sweeps.sweep.Sweep.job`, whose `Sweep` takes in the results.
            config: of the sweep; a job's own is composed from it and the job's words.
        """
        hydra_context.config_loader = SweepLoader(hydra_context.config_loader)
        self.hydra_context, self.task_function, self.config = hydra_context, task_function, config

    def composed(self, words: Sequence[str]) -> DictConfig:
        """The configuration of a job, without Hydra's own part."""
        return self.hydra_context.config_loader.load_sweep_config(self.config, list(words))
