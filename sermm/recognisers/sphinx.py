"""PocketSphinx with the English model that its wheel brings: a recogniser that needs no hub.

Source: Huggins-Daines et al. 2006. Features are normalised over the utterance (`cmn=batch`), so
that a text does not depend on what was heard before.
"""

from functools import cached_property
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from sermm.core.errors import InputError
from sermm.core.ragged import Ragged
from sermm.encoders.hf.families.speech_family import SAMPLING_RATE_HZ
from sermm.recognisers.base import Recogniser

_PACKAGE = "pocketsphinx"
# 25.625 ms, the window of its features.
_SHORTEST = 410


class SphinxRecogniser(Recogniser):
    """PocketSphinx, US English, words of the CMU dictionary in lower case."""

    name = "sphinx"

    def __init__(self) -> None:
        """Looks whether the package is there.

        Raises:
            InputError: it is not installed.
        """
        try:
            self._version = version(_PACKAGE)
        except PackageNotFoundError as error:
            raise InputError(
                'recogniser=sphinx needs PocketSphinx, which is not installed: pip install "'
                'sermm[sphinx]"'
            ) from error

    @property
    def identity(self) -> dict[str, Any]:
        """The package's version, which brings the model."""
        return {"kind": "sphinx", "model": "en-us", "versions": {_PACKAGE: self._version}}

    @property
    def characters(self) -> frozenset[str]:
        """Those of the dictionary's words."""
        return frozenset("abcdefghijklmnopqrstuvwxyz'.- ")

    def load(self) -> None:
        """Loads the model."""
        _ = self._decoder

    def transcribe(self, waveform: Ragged) -> list[str]:
        """Texts in lower case, one utterance after the other."""
        return [self._hear(clip) for clip in waveform.to("cpu").split()]

    def _hear(self, clip: Float[Tensor, " t"]) -> str:
        if len(clip) < _SHORTEST:
            return ""
        samples = torch.clamp(clip * 32768, -32768, 32767).numpy().astype(np.int16)
        self._decoder.start_utt()
        self._decoder.process_raw(samples.tobytes(), full_utt=True)
        self._decoder.end_utt()
        found = self._decoder.hyp()
        return "" if found is None else str(found.hypstr)

    @cached_property
    def _decoder(self) -> Any:
        from pocketsphinx import Decoder

        return Decoder(samprate=SAMPLING_RATE_HZ, cmn="batch", loglevel="FATAL")
