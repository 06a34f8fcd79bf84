"""Combines finished runs by the average of their logits, into a run folder without weights.

`parts` reads the runs and says whether they fit together, `logits` averages and calibrates,
`combine` writes, `record` makes the result that the report reads, `validation` says what that is
worth before the test part is looked at, `choice` which runs of a study go together. Nothing is
computed anew: all of it is done on the predictions that the runs have written, in seconds.
"""
