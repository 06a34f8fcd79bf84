"""IEMOCAP in the release's own files, checked against the published counts."""
