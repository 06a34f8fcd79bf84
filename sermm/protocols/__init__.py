"""Which utterances train, choose and test: label schemes, folds, validation, leaks."""
