"""Hidden states of frozen encoders, computed once and stored."""
