"""Multimodal (speech + text) emotion recognition: train, cross-validate, compare and use."""
