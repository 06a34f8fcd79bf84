"""Whole words as one-hot vectors: what counting systems read."""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from sermm.core.batch import Batch
from sermm.core.files import read_json, write_json
from sermm.core.ragged import Ragged
from sermm.core.transcripts import normalise
from sermm.encoders.base import Origin, TextEncoder


def words_of(transcript: str) -> list[str]:
    """The words of the normalised transcript."""
    return normalise(transcript).split()


class Words(TextEncoder):
    """One-hot vectors `[n 1 vocabulary]` of the words of training; column 0 is "unknown".

    Args:
        assets: folder that `save_assets` wrote; None: the vocabulary comes from `fit`.
    """

    def __init__(self, assets: str | Path | None = None) -> None:
        super().__init__()
        self.n_layers = 1
        self._set(read_json(Path(assets) / "words.json") if assets else [])

    @classmethod
    def origin(cls, **config: Any) -> Origin:  # noqa: ARG003
        """Words, of which nothing is learned but which there are."""
        return Origin("words", "fixed")

    def _set(self, vocabulary: list[str]) -> None:
        self.vocabulary = {word: index for index, word in enumerate(vocabulary, start=1)}
        self.width = len(vocabulary) + 1

    def fit(self, transcripts: Iterable[str]) -> None:
        """Takes the words of the training transcripts."""
        self._set(sorted({word for t in transcripts for word in words_of(t)}))

    def save_assets(self, folder: Path) -> None:
        """Writes `words.json`."""
        write_json(folder / "words.json", list(self.vocabulary))

    def tokenize(self, transcripts: Sequence[str]) -> list[list[int]]:
        """Word numbers; may be empty."""
        return [[self.vocabulary.get(w, 0) for w in words_of(t)] for t in transcripts]

    def forward(self, batch: Batch) -> Ragged:
        """One-hot vectors `[n 1 vocabulary]`."""
        if batch.tokens is None:
            raise ValueError("the batch has no tokens")
        return batch.tokens.map(self._one_hot)

    def _one_hot(self, ids: Tensor) -> Tensor:
        return F.one_hot(ids, self.width).unsqueeze(1).to(torch.get_default_dtype())
