"""Floor 2: units of speech: phones, syllables, words and where their times come from."""
