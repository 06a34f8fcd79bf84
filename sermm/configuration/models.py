"""The models that there are: a file of `conf/model` each."""

from omegaconf import DictConfig

from sermm.configuration.compose import compose, conf_dir


def model_names() -> list[str]:
    """The names, sorted."""
    return sorted(path.stem for path in (conf_dir() / "model").glob("[!_]*.yaml"))


def system_config(name: str) -> DictConfig:
    """What the system of a model is made from; encoders may be open."""
    found: DictConfig = compose("train", [f"model={name}"]).model.system
    return found
