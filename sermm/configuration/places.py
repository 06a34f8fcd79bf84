"""Where things lie unless a command says so."""

from pathlib import Path

from omegaconf import OmegaConf

from sermm.configuration.compose import conf_dir
from sermm.configuration.words import at_home


def cache_dir() -> Path:
    """The default of `cache_dir`, as every command has it that reads a corpus."""
    return Path(at_home(OmegaConf.select(OmegaConf.load(conf_dir() / "_corpus.yaml"), "cache_dir")))
