"""Floor 4: one fusion system per file, pure torch."""
