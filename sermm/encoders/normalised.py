"""Normalisation of hidden states, per layer and dimension.

Source: Zhao 2022, section 3.2 ("global normalisation"); Pepino et al. 2021, whose best run used the
statistics of each talker, those of the test part included (transductive).
"""

from collections.abc import Callable, Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from sermm.core.batch import Batch
from sermm.core.errors import InputError
from sermm.core.ragged import Ragged
from sermm.encoders.base import Encoder
from sermm.encoders.layer_mix import ROWS
from sermm.encoders.wrapper import Wrapper

OVER = ("global", "utterance", "talker")
# A dimension that varies less than this over all that was seen is only centred.
_SMALLEST_DEVIATION = 1e-5


class Moments:
    """Mean and deviation of positions that come in pieces, in float64."""

    def __init__(self) -> None:
        self.n = 0
        self._mean: Tensor | float = 0.0
        self._squares: Tensor | float = 0.0

    def add(self, values: Float[Tensor, "n layers d"]) -> None:
        """Takes in some positions (Chan et al. 1979)."""
        n = len(values)
        if n == 0:
            return
        # Squares in float32 keep their digits if they are of distances from about the mean.
        near = torch.as_tensor(self._mean).float() if self.n else _block_mean(values)
        sums, squares = _sums(values, near)
        shift = near + sums / n - self._mean
        total = self.n + n
        within = (squares - sums**2 / n).clamp_min(0)
        self._squares = self._squares + within + shift**2 * (self.n * n / total)
        self._mean = self._mean + shift * (n / total)
        self.n = total

    @property
    def mean(self) -> Float[Tensor, "layers d"]:
        """Mean over the positions."""
        return torch.as_tensor(self._mean).float()

    @property
    def deviation(self) -> Float[Tensor, "layers d"]:
        """Population standard deviation; 1 where next to nothing varies."""
        deviation = (torch.as_tensor(self._squares) / max(1, self.n)).sqrt()
        return torch.where(deviation < _SMALLEST_DEVIATION, 1.0, deviation).float()


def _block_mean(values: Float[Tensor, "n layers d"]) -> Float[Tensor, "layers d"]:
    return torch.stack([layer.float().mean(0) for layer in values[:ROWS].unbind(1)])


def _sums(
    values: Float[Tensor, "n layers d"], near: Float[Tensor, "layers d"]
) -> tuple[Float[Tensor, "layers d"], Float[Tensor, "layers d"]]:
    """Sums of the distances from `near` and of their squares, in float64.

    So many positions of one layer at a time as stay in a CPU's cache.
    """
    sums, squares = torch.zeros(2, *near.shape, dtype=torch.float64, device=near.device)
    for block in torch.split(values, ROWS):
        for number, layer in enumerate(block.unbind(1)):
            distance = torch.sub(layer, near[number])
            sums[number] += distance.sum(0)
            squares[number] += distance.square_().sum(0)
    return sums, squares


class Normalised(Wrapper):
    """An encoder whose hidden states have zero mean and unit deviation.

    Args:
        encoder: a frozen one.
        over: what the statistics are taken over: `global` = the training part of the fold,
            `utterance` = each utterance by itself, `talker` = all utterances of a talker.

    Attributes:
        over: as given. Global and talker statistics must be observed before use.
    """

    mean: Tensor
    deviation: Tensor

    def __init__(self, encoder: Encoder, over: str) -> None:
        super().__init__(encoder)
        self.over = over
        self._talkers: dict[str, Moments] = {}
        self._all = Moments()
        if over == "global":
            self.register_buffer("mean", torch.zeros(self.n_layers, self.width))
            self.register_buffer("deviation", torch.ones(self.n_layers, self.width))

    @property
    def observes(self) -> bool:
        """Whether statistics must be observed before use."""
        return self.over != "utterance"

    def observe(self, batch: Batch) -> None:
        """Takes in one batch of those that the statistics are taken over."""
        hidden: Ragged = self.encoder(batch)
        if self.over == "global":
            self._all.add(hidden.values)
            self.mean.copy_(self._all.mean)
            self.deviation.copy_(self._all.deviation)
            return
        for speaker, values in zip(batch.speakers, hidden.split(), strict=True):
            self._talkers.setdefault(speaker, Moments()).add(values)

    def forget(self) -> None:
        """Drops what was observed, before observing anew."""
        self._all = Moments()
        self._talkers.clear()

    def forward(self, batch: Batch) -> Ragged:
        """Normalised hidden states `[n layers d]`.

        Raises:
            InputError: a talker has not been observed.
        """
        hidden: Ragged = self.encoder(batch)
        if self.over == "global":
            return hidden.map(lambda values: (values.float() - self.mean) / self.deviation)
        moments = (
            [_moments(values) for values in hidden.split()]
            if self.over == "utterance"
            else self._of_talkers(batch.speakers)
        )
        mean = torch.stack([m.mean for m in moments]).to(hidden.values.device)
        deviation = torch.stack([m.deviation for m in moments]).to(hidden.values.device)
        centred = hidden.values.float() - hidden.repeat(mean)
        return hidden.with_values(centred / hidden.repeat(deviation))

    def mixed(self, batch: Batch, mix: Callable[..., Ragged]) -> Ragged:
        """Mixed normalised states `[n d]`; global statistics go into the weights of the mix.

        Raises:
            InputError: a talker has not been observed.
        """
        if self.over == "global":
            return mix(self.encoder(batch), self.mean, self.deviation)
        return super().mixed(batch, mix)

    def _of_talkers(self, speakers: Sequence[str]) -> list[Moments]:
        if unseen := sorted(set(speakers) - set(self._talkers)):
            raise InputError(
                f"features.normalise=talker: nothing was observed of talker {unseen[0]!r}"
            )
        return [self._talkers[speaker] for speaker in speakers]


def _moments(values: Float[Tensor, "n layers d"]) -> Moments:
    moments = Moments()
    moments.add(values if len(values) else values.new_zeros(1, *values.shape[1:]))
    return moments
