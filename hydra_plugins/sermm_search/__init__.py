"""A sweeper of Hydra that searches for settings; Hydra finds plugins in a package of this name."""
