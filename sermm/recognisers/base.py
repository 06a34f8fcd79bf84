"""What every recogniser promises: waveforms in, one text an utterance out."""

import re
from abc import ABC, abstractmethod
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

import torch

from sermm.core.ragged import Ragged


class Recogniser(ABC):
    """Writes down what is said. An utterance's text does not depend on its batch mates.

    Building one is cheap: weights are loaded when the first waveform comes.

    Attributes:
        name: a short name for a person to choose transcripts by.
        window_s: seconds it hears at once; longer utterances are cut into several. None: any.
        detected: how many clips it took to be in which language; empty where it detects none.
    """

    name: str
    window_s: float | None = None
    detected: Mapping[str, int] = MappingProxyType({})

    @property
    @abstractmethod
    def identity(self) -> dict[str, Any]:
        """What determines the texts: weights, options, versions. JSON values only."""

    @property
    def characters(self) -> frozenset[str] | None:
        """The lower-case characters that it can write; None: any."""
        return None

    @abstractmethod
    def transcribe(self, waveform: Ragged) -> list[str]:
        """The text of each of b utterances, mono float32 at 16 kHz in -1..1.

        "" where nothing is heard, where an utterance is shorter than one frame, or empty.
        """

    @abstractmethod
    def load(self) -> None:
        """Loads weights now rather than with the first waveform."""

    def cost_s(self, duration_s: float) -> float:
        """Seconds of audio that it works through for an utterance of so many."""
        return duration_s

    def to(self, device: torch.device | str) -> "Recogniser":
        """Computes on another device from now on, where there is something to compute there."""
        del device
        return self


def short_name(id: str) -> str:  # noqa: A002 (the hub's word)
    """The last part of a hub id or of a folder's path, fit for a folder's name."""
    last = Path(id).expanduser().resolve().name if Path(id).is_dir() else id.rsplit("/", 1)[-1]
    return re.sub(r"[^\w.-]", "_", last)
