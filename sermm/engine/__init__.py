"""Runs an experiment from its configuration to its record, and asks finished runs further things.

`run` makes one run: corpus and fold (`inputs`, `fold_data`), the system (`assembly`), stored
features if asked for (`extraction`), training (`training`), then predictions, scores and cost
(`record`, `cost`). `evaluate` and `predict` take a finished run back and ask it about other
utterances; `combination` averages what several have predicted. Many runs at once are a matter of
`sermm.sweeps`; the files of a run folder are those of `sermm.runs`.
"""
