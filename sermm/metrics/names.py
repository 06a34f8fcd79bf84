"""The scores by name; imports nothing that takes time."""

METRICS = ("ua", "wa", "f1_macro", "f1_weighted")
