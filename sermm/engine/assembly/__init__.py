"""Builds the system that a configuration describes, and takes it back from its run."""
