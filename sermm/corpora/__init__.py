"""Floor 2: one reader per corpus; each turns files into `Utterance` records."""
