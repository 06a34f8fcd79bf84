"""Floor 3: protocols (label scheme + folds), decoding, batches and LightningDataModules."""
