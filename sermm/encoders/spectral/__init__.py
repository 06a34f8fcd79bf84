"""Encoders trained from scratch over log-mel and cepstral frames."""
