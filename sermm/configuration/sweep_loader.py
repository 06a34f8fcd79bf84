"""Composes the jobs of a sweep, which differ in little, without starting anew for each.

Hydra reads and merges some thirty files for every job, twice: its sweeper looks whether all can be
composed before the first one begins.
"""

from collections.abc import Sequence
from copy import deepcopy
from typing import Any

from hydra._internal.config_loader_impl import ConfigLoaderImpl
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override
from omegaconf import DictConfig

from sermm.configuration.compose import without_hydra


class SweepLoader:
    """Hydra's loader, but that files are read and merged once for the same choices of groups.

    The values of a job are set in a copy, by Hydra's own function, and so come to the same.

    Args:
        loader: Hydra's own, which does all else.
    """

    def __init__(self, loader: ConfigLoaderImpl) -> None:
        self._loader = loader
        self._chosen: dict[tuple[str, ...], DictConfig] = {}

    def __getattr__(self, name: str) -> Any:
        return getattr(self._loader, name)

    def load_sweep_config(
        self, master_config: DictConfig, sweep_overrides: Sequence[str]
    ) -> DictConfig:
        """The configuration of a job, without Hydra's own part.

        Args:
            master_config: of the sweep.
            sweep_overrides: the words of the job.

        Raises:
            HydraException: it cannot be composed.
        """
        values: list[Override] = []
        choices: list[Override] = []
        for override in OverridesParser.create().parse_overrides(list(sweep_overrides)):
            (values if self._is_value(override) else choices).append(override)
        chosen = tuple(str(one.input_line) for one in choices)
        if chosen not in self._chosen:
            whole = self._loader.load_sweep_config(master_config, list(chosen))
            self._chosen[chosen] = without_hydra(whole)
        config = deepcopy(self._chosen[chosen])
        ConfigLoaderImpl._apply_overrides_to_config(values, config)
        return config

    def _is_value(self, override: Override) -> bool:
        """Whether Hydra would set it when all is merged: its own rule, and nothing of its own."""
        if override.is_hydra_override():
            return False
        is_group = self._loader.repository.group_exists(override.key_or_group)
        return isinstance(override.value(), dict) or not is_group
