"""Multimodal (speech + text) emotion recognition: train, cross-validate, compare and use."""

from sermm.core.torchaudio_loading import tolerate_missing_extension

# Before anything imports torchaudio, as transformers does by itself.
tolerate_missing_extension()
