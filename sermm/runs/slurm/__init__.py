"""A run inside of a Slurm job: what the job is, what Slurm says of it, how often it was tried."""
