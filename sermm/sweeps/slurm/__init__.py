"""Sweeps by Slurm: the script, the queue, and its word on how jobs ended."""
