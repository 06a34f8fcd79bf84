"""Which utterances make up which batch: a plan that follows from the seed and the epoch."""

from collections.abc import Iterator, Sequence
from typing import Literal

import numpy as np
from torch.utils.data import Sampler

from sermm.core.errors import InputError
from sermm.core.seeding import generator

# Pools this many batches wide keep lengths within a batch alike; at least this many pools keep
# the batches of a small corpus from being the same in every epoch.
_BATCHES_A_POOL = 8
_FEWEST_POOLS = 4
_EPOCHS_TRIED = 8
# How lengths go together in a batch, see `BatchPlan`.
Batching = Literal["similar", "random"]


class PlannedBatch(list[int]):
    """The indices of a batch, with the epoch whose plan it is of.

    DataLoader workers live through all epochs; this is how they learn which one it is.

    Args:
        indices: of the utterances.
        epoch: from 0.
    """

    def __init__(self, indices: Sequence[int], epoch: int) -> None:
        super().__init__(indices)
        self.epoch = epoch


class BatchPlan(Sampler[list[int]]):
    """Batches of indices, alike in length or not, under a budget of seconds or of a fixed size.

    Training (`seed` given): in epoch e utterances are shuffled, dealt into pools, sorted by
    length within each pool, cut into batches, and the batches shuffled; all of it drawn from
    (seed, "batches", e), so workers and resumption change nothing. The number of batches is the
    same in every epoch: where the cut gives fewer, the fullest ones are halved.

    Evaluation (no seed): sorted by length, longest first, the same every time.

    With `batching` "random", as a DataLoader of torch that shuffles: in training there are no
    pools, so that any two utterances may meet; in evaluation utterances come as they are given.
    What systems say of an utterance does not depend on its batch mates (but for rounding, and for
    what looks at the padding: `literal`), yet what they learn from a batch does.

    With several ranks each takes every `world_size`-th batch. All ranks have the same number of
    batches, in training and in evaluation; no utterance is left out and none comes twice. (Where
    nearly every batch holds one utterance this can need fewer batches than the limit gives; the
    shortest are then joined, the only case in which a limit is exceeded.)

    Args:
        durations: seconds of each utterance, by index.
        seconds: budget of a batch, its longest utterance times their number, so that neither the
            sum nor the padded length exceeds it. A longer utterance is a batch of its own.
        size: utterances in a batch. Give either `seconds` or `size`.
        seed: of training; None for evaluation.
        rank: which share to take, from 0.
        world_size: how many shares there are.
        batching: "similar": alike in length; "random": any, of a fixed size.

    Raises:
        InputError: not exactly one limit, one that is not positive, random batches under a budget,
            or fewer utterances than ranks.
    """

    def __init__(
        self,
        durations: Sequence[float],
        *,
        seconds: float | None = None,
        size: int | None = None,
        seed: int | None = None,
        rank: int = 0,
        world_size: int = 1,
        batching: Batching = "similar",
    ) -> None:
        refuse_limits(seconds, size, batching)
        if len(durations) < world_size:
            raise InputError(
                f"{len(durations)} utterances cannot be shared among {world_size} devices; use "
                "fewer devices (trainer.devices) or a fold with more utterances"
            )
        self._durations = np.asarray(durations, dtype=np.float64)
        self._seconds, self._size = seconds, size
        self._seed, self._rank, self._world_size = seed, rank, world_size
        self._random = batching == "random"
        self._epoch = 0
        self._n_batches = self._count()

    @property
    def sampler(self) -> "BatchPlan":
        """Itself: Lightning tells the epoch to `batch_sampler.sampler`, not to `batch_sampler`."""
        return self

    def set_epoch(self, epoch: int) -> None:
        """Chooses the epoch, from 0, whose batches the next iteration gives."""
        self._epoch = epoch

    def __len__(self) -> int:
        """The number of batches of this rank, the same in every epoch."""
        return self._n_batches // self._world_size

    def __iter__(self) -> Iterator[list[int]]:
        for batch in self._batches()[self._rank :: self._world_size]:
            yield PlannedBatch(batch, self._epoch)

    def _batches(self) -> list[list[int]]:
        """The batches of all ranks in this epoch."""
        if self._seed is None:
            return self._exactly(self._cut(self._as_served()))
        batches = self._cut(self._dealt(self._seed, self._epoch))
        if len(batches) > self._n_batches:
            batches = self._cut(self._by_length())
        batches = self._exactly(batches)
        order = generator(self._seed, "batch order", self._epoch).permutation(len(batches))
        return [batches[i] for i in order]

    def _count(self) -> int:
        """Batches in any epoch: as many as the first epochs need, a multiple of the ranks."""
        count = len(self._cut(self._by_length()))
        if self._seed is not None and self._seconds is not None:
            for epoch in range(_EPOCHS_TRIED):
                count = max(count, len(self._cut(self._dealt(self._seed, epoch))))
        rounds = min(-(-count // self._world_size), len(self._durations) // self._world_size)
        return rounds * self._world_size

    def _by_length(self) -> list[int]:
        """All indices, longest first: if memory does not suffice, it shows at once."""
        order: list[int] = np.argsort(-self._durations, kind="stable").tolist()
        return order

    def _as_served(self) -> list[int]:
        """All indices in the order of evaluation."""
        return list(range(len(self._durations))) if self._random else self._by_length()

    def _dealt(self, seed: int, epoch: int) -> list[int]:
        """All indices, shuffled; if batches are alike, then sorted within pools, up and down."""
        shuffled = generator(seed, "batches", epoch).permutation(len(self._durations))
        if self._random:
            dealt: list[int] = shuffled.tolist()
            return dealt
        pools = np.array_split(shuffled, self._n_pools())
        order: list[int] = []
        for number, pool in enumerate(pools):
            rising = pool[np.argsort(self._durations[pool], kind="stable")]
            order += (rising if number % 2 == 0 else rising[::-1]).tolist()
        return order

    def _n_pools(self) -> int:
        n = len(self._durations)
        batch = self._size or (self._seconds or 0) / max(float(self._durations.mean()), 1e-3)
        return max(1, min(n, max(_FEWEST_POOLS, round(n / (_BATCHES_A_POOL * batch)))))

    def _cut(self, order: Sequence[int]) -> list[list[int]]:
        """Cuts an order into batches, each as long as the limit allows."""
        batches: list[list[int]] = []
        longest = 0.0
        for index in order:
            duration = float(self._durations[index])
            longest = max(longest, duration)
            if batches and self._fits(len(batches[-1]) + 1, longest):
                batches[-1].append(index)
            else:
                batches.append([index])
                longest = duration
        return batches

    def _fits(self, n: int, longest: float) -> bool:
        if self._seconds is None:
            return n <= (self._size or 0)
        return n * longest <= self._seconds

    def _exactly(self, batches: list[list[int]]) -> list[list[int]]:
        """Halves the fullest batch, or joins the two shortest, until the number is right."""
        batches = list(batches)
        while len(batches) < self._n_batches:
            fullest = max(range(len(batches)), key=lambda i: len(batches[i]))
            batch = batches[fullest]
            middle = len(batch) // 2
            batches[fullest : fullest + 1] = [batch[:middle], batch[middle:]]
        while len(batches) > self._n_batches:
            batches.sort(key=lambda batch: -float(self._durations[batch].sum()))
            batches[-2:] = [batches[-2] + batches[-1]]
        return batches


def refuse_limits(seconds: float | None, size: int | None, batching: Batching = "similar") -> None:
    """Refuses anything but one positive limit of a batch, which must be a size if it is random.

    Raises:
        InputError: none, both, one that is not positive, or random batches under a budget.
    """
    if (seconds is None) == (size is None):
        raise InputError(
            f"give either batch_size or batch_seconds, got batch_size={size} and "
            f"batch_seconds={seconds}"
        )
    if (seconds or size or 0) <= 0:
        raise InputError(
            f"the limit of a batch must be positive, got batch_size={size}, batch_seconds={seconds}"
        )
    if batching == "random" and size is None:
        raise InputError(
            f"batching=random makes batches of a size, got batch_seconds={seconds}; set "
            "trainer.batch_size and trainer.batch_seconds=null, or trainer.batching=similar"
        )
