"""Many runs: planning, the pool, its board, and what became of a study.

A sweep is a list of single runs (`expansion`), each a process of its own that is started with words
as a person would type them: by the `pool` on this machine, or by Slurm (`slurm`). Nothing comes
back from these processes but their run folders: `sweep` reads there what its runs came to, `study`
what became of all that sweeps of a study have ever planned.
"""
