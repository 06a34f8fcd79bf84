"""Shapes are checked in all tests: jaxtyping's annotations are executed by beartype."""

import os

from jaxtyping import install_import_hook

os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("WANDB_MODE", "offline")
hook = install_import_hook("sermm", "beartype.beartype")
