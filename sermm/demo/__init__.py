"""The demo: a synthetic corpus in IEMOCAP's layout, and small random checkpoints."""
