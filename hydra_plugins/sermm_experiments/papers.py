"""The experiments of a paper lie in one file, `conf/experiment/_<paper>.yaml`.

Hydra gets each key of it as if it were a file: `experiment=<paper>/<key>`, package `_global_`.

A paper has many tables, and their experiments differ in a few lines; in one file they can be read
side by side, and what they share is a key of its own (`_settings`) that their `defaults` name.
Hydra imports this module when it looks for plugins, so that they are there before anything is
composed.
"""

from collections.abc import Iterator

from hydra.core.config_store import ConfigStore
from omegaconf import DictConfig, OmegaConf

from sermm.configuration.compose import conf_dir

_GROUP = "experiment"


def experiments() -> Iterator[tuple[str, DictConfig]]:
    """The experiments of all papers and the parts that they share, by `<paper>/<key>`.

    Yields:
        Names, and bodies whose interpolations are left to Hydra.
    """
    for path in sorted((conf_dir() / _GROUP).glob("_*.yaml")):
        bodies = OmegaConf.to_container(OmegaConf.load(path), resolve=False)
        for key, body in bodies.items() if isinstance(bodies, dict) else ():
            yield f"{path.stem.removeprefix('_')}/{key}", OmegaConf.create(body)


for _name, _body in experiments():
    _paper, _, _key = _name.partition("/")
    ConfigStore.instance().store(
        group=f"{_GROUP}/{_paper}", name=_key, node=_body, package="_global_", provider="sermm"
    )
