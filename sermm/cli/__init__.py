"""Floor 6: one file per verb of the `sermm` command."""
