"""Which models have something to explain."""

from typing import Any

from hydra.utils import get_class
from omegaconf import DictConfig

from sermm.configuration.models import model_names, system_config
from sermm.models.base import System
from sermm.models.branch import Branch


def explainable() -> list[str]:
    """A model for each class that has attention or a gate: that of the shortest name."""
    found: dict[type, str] = {}
    for name in sorted(model_names(), key=lambda name: (len(name), name)):
        config = system_config(name)
        if shows(config):
            found.setdefault(get_class(config._target_), name)
    return sorted(found.values())


def shows(config: DictConfig) -> bool:
    """Whether the class of a system, or of its branches, has attention or a gate."""
    made_by: Any = get_class(config._target_)
    if (made_by.attended, made_by.gates) == (System.attended, System.gates):
        return False
    if "branch" not in config:
        return True
    branch: Any = get_class(config.branch._target_)
    return branch.weights is not Branch.weights
