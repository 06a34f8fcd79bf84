"""Which models have something to explain.

For the message to somebody whose run has nothing: no list is kept by hand, which would be wrong by
the next model. What a class can show is seen from the methods that it overrides.
"""

from pkgutil import resolve_name
from typing import Any

from omegaconf import DictConfig

from sermm.configuration.models import model_names, system_config
from sermm.models.base import System
from sermm.models.branch import Branch


def explainable() -> list[str]:
    """A model for each class that has attention or a gate: that of the shortest name.

    Returns:
        Names of `conf/model`, sorted.
    """
    found: dict[type, str] = {}
    for name in sorted(model_names(), key=lambda name: (len(name), name)):
        config = system_config(name)
        if shows(config):
            found.setdefault(resolve_name(config._target_), name)
    return sorted(found.values())


def shows(config: DictConfig) -> bool:
    """Whether the class of a system, or of its branches, has attention or a gate.

    A system that asks its branches overrides `attended` whatever they are; then the branch decides.

    Args:
        config: of a system, with `_target_`, as `conf/model` has it; nothing is built.
    """
    made_by: Any = resolve_name(config._target_)
    if (made_by.attended, made_by.gates) == (System.attended, System.gates):
        return False
    if "branch" not in config:
        return True
    branch: Any = resolve_name(config.branch._target_)
    return branch.weights is not Branch.weights
