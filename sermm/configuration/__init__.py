"""The configuration: where it lies, how it is composed and checked, what identifies a run."""
