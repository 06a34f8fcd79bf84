"""The rules of folds and of validation lie in one file, `conf/protocol/_rules.yaml`.

Hydra gets each of them as if it were a file of a group, `protocol/validation_rule=random_share`,
and its own keys as `protocol.validation_rule.share=0.2`. Hydra imports this module when it looks
for plugins, so that they are there before anything is composed.
"""

from hydra.core.config_store import ConfigStore
from omegaconf import OmegaConf

from sermm.configuration.compose import conf_dir

_GROUP = "protocol"

for _key, _rules in OmegaConf.load(conf_dir() / _GROUP / "_rules.yaml").items():
    for _name, _rule in _rules.items():
        # None is no mapping that could be put in its place, so it comes inside of one.
        _inside = _rule is None
        ConfigStore.instance().store(
            group=f"{_GROUP}/{_key}",
            name=_name,
            node={_key: None} if _inside else _rule,
            package=_GROUP if _inside else f"{_GROUP}.{_key}",
            provider="sermm",
        )
