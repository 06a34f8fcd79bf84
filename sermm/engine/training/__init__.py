"""Trains one system on one fold.

In the order of a run: `task` builds what is trained and on what (`prepare`); `teacher` has found
before which run teaches a student; `fit` puts `learner` (losses, scores, optimiser), `callbacks`
(epochs kept and recorded) and the further losses of `contrastive` and `teaching` together and hands
them to Lightning. What is left in the end is the chosen weights in the run folder, from which
`sermm.engine.record` predicts.
"""
