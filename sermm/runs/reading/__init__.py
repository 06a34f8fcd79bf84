"""Reads what run folders hold."""
