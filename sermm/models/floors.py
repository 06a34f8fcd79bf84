"""Floors: what a system must beat before its score says anything about emotion.

Source: `majority` is the chance level of WA; `lookup` answers how much of a text system's score
is remembering the lines of scripted dialogues, which recur in all sessions of IEMOCAP.
"""

from collections.abc import Mapping
from typing import Any

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor

from sermm.core.batch import Batch, Output
from sermm.core.ragged import Ragged
from sermm.encoders.base import Encoder
from sermm.models.base import CountingSystem, labels_of


class Majority(CountingSystem):
    """Logits are the log shares of the classes in training.

    Args:
        n_classes: k.
    """

    counts: Tensor

    def __init__(self, n_classes: int) -> None:
        super().__init__()
        self.register_buffer("counts", torch.zeros(n_classes))

    def observe(self, batch: Batch) -> None:
        """Counts the labels."""
        self.counts += F.one_hot(labels_of(batch), len(self.counts)).sum(0)

    def forward(self, batch: Batch) -> Output:
        """The same logits `[b k]` for everybody."""
        shares = (self.counts + 1) / (self.counts + 1).sum()
        logits = shares.log().expand(len(batch), -1)
        return Output(logits, logits)


class Lookup(CountingSystem):
    """The class of the nearest training transcript, by cosine of word counts.

    Of several equally near ones the most frequent class; without any common word the classes'
    shares in training.

    Args:
        text: one-hot words.
        n_classes: k.
    """

    counts: Tensor

    def __init__(self, text: Encoder, n_classes: int) -> None:
        super().__init__()
        self.text = text
        self.register_buffer("counts", torch.zeros(n_classes))
        self._seen: list[tuple[Tensor, Tensor]] = []

    def observe(self, batch: Batch) -> None:
        """Remembers word counts and labels."""
        labels = labels_of(batch)
        self._seen.append((self._bags(batch), labels))
        self.counts += F.one_hot(labels, len(self.counts)).sum(0)

    def get_extra_state(self) -> dict[str, Tensor]:
        """The memory, which grows with the training part and so cannot be a buffer."""
        if not self._seen:
            return {}
        bags, labels = self._memory()
        at = bags.nonzero()
        return {"at": at, "bags": bags[tuple(at.T)], "labels": labels}

    def set_extra_state(self, state: Mapping[str, Any]) -> None:
        """Takes the memory back."""
        if state:
            bags = torch.zeros(len(state["labels"]), self.text.width)
            bags[tuple(state["at"].T)] = state["bags"]
            self._seen = [(bags, state["labels"])]

    def _memory(self) -> tuple[Float[Tensor, "m vocabulary"], Int[Tensor, " m"]]:
        bags, labels = zip(*self._seen, strict=True)
        self._seen = [(torch.cat(bags), torch.cat(labels))]
        return self._seen[0]

    def _bags(self, batch: Batch) -> Float[Tensor, "b vocabulary"]:
        words: Ragged = self.text(batch)
        bags = torch.stack([s.sum(0).squeeze(0) for s in words.split()])
        return F.normalize(bags, dim=-1)

    def forward(self, batch: Batch) -> Output:
        """Log shares of the classes among the nearest transcripts, `[b k]`."""
        bags = self._bags(batch)
        prior = (self.counts + 1) / (self.counts + 1).sum()
        if not self._seen:
            return Output(prior.log().expand(len(batch), -1), bags)
        memory, labels = (part.to(bags.device) for part in self._memory())
        # An unknown word (column 0) makes a transcript longer but is in common with nothing.
        known = bags.index_fill(1, torch.tensor([0], device=bags.device), 0.0)
        likeness = known @ memory.T
        best = likeness.amax(-1, keepdim=True)
        nearest = (likeness >= best - 1e-6) & (best > 0)
        votes = nearest.to(bags.dtype) @ F.one_hot(labels, len(self.counts)).to(bags.dtype)
        shares = (votes + 1e-3 * prior) / (votes + 1e-3 * prior).sum(-1, keepdim=True)
        return Output(shares.log(), bags)
