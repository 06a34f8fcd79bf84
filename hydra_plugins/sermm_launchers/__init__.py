"""Launchers of Hydra for sweeps of `sermm train`; Hydra finds plugins in a package of this name."""
