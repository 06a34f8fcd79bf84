"""Floor 5: runs an experiment: Lightning module, trainer, run folders, prediction, sweeps."""
