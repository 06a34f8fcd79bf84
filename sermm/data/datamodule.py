"""The LightningDataModule that serves the batches of one fold."""

import math
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from lightning import LightningDataModule
from torch.utils.data import DataLoader

from sermm.core.batch import Batch
from sermm.core.errors import InputError
from sermm.core.records import Fold, Utterance
from sermm.core.seeding import seed_of
from sermm.data.augment.augment import Augment
from sermm.data.augment.synonyms import Reworded
from sermm.data.batching import Batching, BatchPlan, refuse_limits
from sermm.data.dataset import Inputs, KeptAudio, UtteranceDataset, as_it_is


@dataclass(frozen=True)
class Loading:
    """How batches are made and served.

    Attributes:
        batch_size: utterances in a batch. Give either this or `batch_seconds`.
        batch_seconds: budget of a batch in seconds.
        max_seconds: longer audio is cut; None: none is.
        num_workers: DataLoader workers of each loader.
        pin_memory: page-locked batches, for a GPU.
        keep_audio_mb: decoded audio kept in memory, 10^6 bytes; with workers, for each loader.
        batching: whether the utterances of a batch are alike in length (see `BatchPlan`).

    Raises:
        InputError: there are both limits of a batch, or none, or one that holds nothing, or random
            batches under a budget.
    """

    batch_size: int | None = None
    batch_seconds: float | None = None
    max_seconds: float | None = 15.0
    num_workers: int = 0
    pin_memory: bool = False
    keep_audio_mb: int = 512
    batching: Batching = "similar"

    def __post_init__(self) -> None:
        refuse_limits(self.batch_seconds, self.batch_size, self.batching)

    @property
    def most_s(self) -> float:
        """Where audio is cut, in seconds; infinite where none is."""
        return math.inf if self.max_seconds is None else self.max_seconds


class EmotionDataModule(LightningDataModule):
    """Training, validation and test batches of one fold; everything is joined by utterance id.

    Batches and their order follow from `seed` and the epoch, whatever the number of workers, and
    serving them draws nothing from torch's global generator. Several devices share the batches
    by `BatchPlan`, so the Trainer needs `use_distributed_sampler=False`.

    Args:
        utterances: must hold those of the fold; others are ignored.
        fold: ids of the parts.
        targets: class by utterance id, after the protocol's mapping.
        classes: in the order of the class indices.
        durations: seconds by utterance id, from `sermm.data.checks.check`.
        inputs: what the batches hold.
        seed: of the batches.
        loading: how batches are made; what is cut is counted by `cut`.
        augment: varies the audio of training batches, and of those only.
        reworded: varies the words of training batches, and of those only.

    Attributes:
        augment: the same.
        reworded: the same.
        heard: what the audio of all other batches is heard under; None, unless somebody sets it:
            as it is.
        cut: the number of utterances of the fold that are longer than `loading.max_seconds`.

    Raises:
        InputError: an id of the fold has no utterance, target or duration, or a target is not
            among the classes.
    """

    def __init__(
        self,
        *,
        utterances: Sequence[Utterance],
        fold: Fold,
        targets: Mapping[str, str],
        classes: Sequence[str],
        durations: Mapping[str, float],
        inputs: Inputs,
        seed: int,
        loading: Loading,
        augment: Augment | None = None,
        reworded: Reworded | None = None,
    ) -> None:
        super().__init__()
        ids = (*fold.train, *fold.val, *fold.test)
        by_id = {utterance.id: utterance for utterance in utterances}
        for name, known in (
            ("utterance", by_id),
            ("target", targets),
            ("duration", durations),
            *known_inputs(inputs),
        ):
            _refuse_absent(name, ids, known, fold)
        self.fold = fold
        self.augment, self.reworded = augment, reworded
        self.heard: Augment | None = None
        self.cut = sum(durations[i] > loading.most_s for i in ids)
        self._utterances = {i: by_id[i] for i in ids}
        self._labels = _indices(ids, targets, classes)
        self._durations = {i: durations[i] for i in ids}
        self._inputs = inputs
        self._seed, self._loading = seed, loading
        self._kept = KeptAudio(loading.keep_audio_mb)
        self._epochs_done = 0

    def state_dict(self) -> dict[str, Any]:
        """What a resumed run must know when it makes its loaders."""
        progress: Any = self.trainer.fit_loop.epoch_progress.current if self.trainer else None
        return {"epochs": 0 if progress is None else progress.processed}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Takes it back."""
        self._epochs_done = state_dict["epochs"]

    def train_dataloader(self) -> DataLoader[Batch]:
        """Shuffled batches of the training part, varied if there is `augment` or `reworded`."""
        return self._loader(self.fold.train, self._seed, self.augment, self.reworded)

    def val_dataloader(self) -> DataLoader[Batch] | list[DataLoader[Batch]]:
        """Batches of the validation part; an empty list if the fold has none."""
        return self.loader(self.fold.val) if self.fold.val else []

    def test_dataloader(self) -> DataLoader[Batch]:
        """Batches of the test part."""
        return self.loader(self.fold.test)

    def loader(self, ids: Sequence[str]) -> DataLoader[Batch]:
        """Batches of any of the fold's utterances, each once.

        Longest first; with `batching` "random" in the order of `ids`.
        """
        return self._loader(ids, None, self.heard)

    def dataset(
        self,
        ids: Sequence[str],
        augment: Augment | None = None,
        reworded: Reworded | None = None,
    ) -> UtteranceDataset:
        """Any of the fold's utterances as batches of one, in this order, shared with no device."""
        return UtteranceDataset(
            [self._utterances[i] for i in ids],
            self._inputs,
            labels=self._labels,
            max_seconds=self._loading.max_seconds,
            kept=self._kept,
            augment=augment,
            reworded=reworded,
        )

    def _loader(
        self,
        ids: Sequence[str],
        seed: int | None,
        augment: Augment | None = None,
        reworded: Reworded | None = None,
    ) -> DataLoader[Batch]:
        return DataLoader(
            self.dataset(ids, augment, reworded),
            batch_sampler=self._plan(ids, seed, 1.0 if augment is None else augment.longest),
            collate_fn=as_it_is,
            num_workers=self._loading.num_workers,
            persistent_workers=self._loading.num_workers > 0,
            pin_memory=self._loading.pin_memory,
            # Otherwise the loader draws from the global generator, and how often depends on the
            # workers: dropout would differ.
            generator=torch.Generator().manual_seed(seed_of(self._seed, "loader")),
        )

    def _plan(self, ids: Sequence[str], seed: int | None, longest: float) -> BatchPlan:
        """The plan for utterances that may become `longest` times as long."""
        plan = BatchPlan(
            [min(longest * self._durations[i], self._loading.most_s) for i in ids],
            seconds=self._loading.batch_seconds,
            size=self._loading.batch_size,
            seed=seed,
            rank=self.trainer.global_rank if self.trainer else 0,
            world_size=self.trainer.world_size if self.trainer else 1,
            batching=self._loading.batching,
        )
        if self.trainer:
            # In a resumed run Lightning starts the workers on their first batches before it says
            # which epoch it is, and before its loops know.
            plan.set_epoch(self._epochs_done)
        return plan


def known_inputs(inputs: Inputs) -> Iterator[tuple[str, Collection[str]]]:
    """The ids that each wanted input is known of, by its name."""
    if inputs.tokens is not None:
        yield "tokens", inputs.tokens
    if inputs.characters is not None:
        yield "characters", inputs.characters
    for level, units in inputs.units.items():
        yield f"{level}s", units
    for name, stream in inputs.stored.items():
        yield f"stored {name}", stream.keys


def _refuse_absent(name: str, ids: Collection[str], known: Collection[str], fold: Fold) -> None:
    if absent := sorted(set(ids) - set(known)):
        raise InputError(
            f"fold {fold.number}: {len(absent)} ids have no {name} (first: {absent[0]}); make the "
            "fold from utterances that passed the checks"
        )


def _indices(
    ids: Collection[str], targets: Mapping[str, str], classes: Sequence[str]
) -> dict[str, int]:
    """Class index by utterance id."""
    index = {name: number for number, name in enumerate(classes)}
    for utterance_id in ids:
        if targets[utterance_id] not in index:
            raise InputError(
                f"utterance {utterance_id}: target {targets[utterance_id]!r} is not among the "
                f"classes {list(classes)}; map it or leave the utterance out"
            )
    return {utterance_id: index[targets[utterance_id]] for utterance_id in ids}
