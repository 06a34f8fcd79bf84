"""Experiments of papers; Hydra finds plugins in a package of this name."""
