"""Floor 3: recognisers: what was said, and when, by machine."""
