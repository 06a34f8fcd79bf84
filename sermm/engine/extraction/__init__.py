"""Computes what the feature store lacks, and hands on streams of stored features.

`streams` says which encoders of a system can be stored and what names their stores, `sources` what
they read of each utterance. `one_pass` runs an encoder over what is missing, sharing the work with
other processes (`shared`), and `extract` does so for all encoders. Used by `sermm extract`, and by
every run with `features=cached` before it trains.
"""
