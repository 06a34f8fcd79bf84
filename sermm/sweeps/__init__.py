"""Many runs: planning, the pool, its board, and what became of a study."""
