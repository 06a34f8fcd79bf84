"""Floor 2: scores from a confusion matrix."""
