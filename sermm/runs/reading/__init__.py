"""Reads what run folders hold, for the report and whatever else goes through a study."""
