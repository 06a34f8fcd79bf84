"""Builds the system that a configuration describes, and takes it back from its run.

`encoders` says what makes each encoder, `build` puts them into the system and keeps its weights,
`restore` brings a finished run back, `normalisation` and `inference` run what was built. Nothing
here knows of training or of a corpus.
"""
