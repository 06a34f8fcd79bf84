"""W&B and TensorBoard: views of the run folder.

`tracker` is what every tracker is, and `watched` stands between it and a run; `wandb_run` (with
`wandb_record` and `artifact`) and `tensorboard` are the two that there are, `names` is the one list
of what they are told, and `systems` what systems are called in them. `study`, `dashboard` and
`workspace` show a whole study in W&B, after the runs. The report never reads anything back from a
tracker.
"""
