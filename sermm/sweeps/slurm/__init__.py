"""Slurm: an array of single runs, its script, its queue, and the wait for it.

`submit` writes a `script` and a table of jobs into `runs/<study>/.sweeps/slurm` and hands them to
sbatch, with `settings` that `sermm retry` reads again; `queue` tells what of a study Slurm still
has; `end` speaks for runs that were killed; `wait` is for sweeps that look on. What a run itself
does inside of a Slurm job (signals, requeueing) is `sermm.runs.stopping`.
"""
