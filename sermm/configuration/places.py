"""Where things lie unless a command says so."""

from pathlib import Path

from omegaconf import OmegaConf

from sermm.configuration.compose import conf_dir


def cache_dir() -> Path:
    """The default of `cache_dir`, as every command has it that reads a corpus."""
    return Path(OmegaConf.select(OmegaConf.load(conf_dir() / "_corpus.yaml"), "cache_dir"))
