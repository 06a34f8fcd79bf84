"""The experiments of a paper lie in one file, `conf/experiment/_<paper>.yaml`.

Hydra gets each key of it as if it were a file: `experiment=<paper>/<key>`, package `_global_`.
"""

from collections.abc import Iterator

from hydra.core.config_store import ConfigStore
from omegaconf import DictConfig, OmegaConf

from sermm.configuration.compose import conf_dir

_GROUP = "experiment"


def experiments() -> Iterator[tuple[str, DictConfig]]:
    """The experiments of all papers and the parts that they share, by `<paper>/<key>`."""
    for path in sorted((conf_dir() / _GROUP).glob("_*.yaml")):
        bodies = OmegaConf.to_container(OmegaConf.load(path), resolve=False)
        for key, body in bodies.items() if isinstance(bodies, dict) else ():
            yield f"{path.stem.removeprefix('_')}/{key}", OmegaConf.create(body)


for _name, _body in experiments():
    _paper, _, _key = _name.partition("/")
    ConfigStore.instance().store(
        group=f"{_GROUP}/{_paper}", name=_key, node=_body, package="_global_", provider="sermm"
    )
