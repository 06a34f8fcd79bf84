"""Floor 1: the records and tensors that every other room shares."""
