"""Floor 2: speech and text encoders; ragged in, ragged out."""
