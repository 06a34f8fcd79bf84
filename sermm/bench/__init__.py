"""Floor 8: the cases of `sermm bench`: what things cost, as ratios to something bare beside them.

    cases                                 the list, and the short cases themselves
    timing, measures                      how a figure is taken, and what it is
    epoch, cached, padded                 training
    features, store                       extraction
    fusion, fusion_rows, finetune, models what Bian 2024 states, on encoders of real sizes
    pool, study, study_runs               many runs

A time by itself says little: machines differ, and so does one machine from hour to hour. So a case
runs what is bare underneath (a loop, a copy, a fresh interpreter) in the same minutes and gives the
ratio. Some figures have a limit: over it `sermm bench` exits with 1. No test asserts a time.
All data are made up: noise and nonsense of IEMOCAP's sizes, and weights at random, on which times
do not depend.
"""
