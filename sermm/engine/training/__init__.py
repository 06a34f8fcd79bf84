"""Trains one system on one fold."""
