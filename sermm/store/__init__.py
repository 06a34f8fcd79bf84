"""Content-addressed stores that processes share: hidden states, transcripts by machine."""
