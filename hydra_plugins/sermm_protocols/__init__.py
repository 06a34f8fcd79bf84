"""The rules of protocols; Hydra finds plugins in a package of this name."""
