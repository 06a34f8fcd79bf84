"""Averages the logits of finished runs."""
