"""The run folder: its format, its states, and what a sweep keeps beside its runs."""
