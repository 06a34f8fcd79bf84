"""Utterances as batches: decoded audio, token ids, units of speech, stored features."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import torch
from jaxtyping import Float, Int, Shaped
from torch import Tensor
from torch.utils.data import Dataset, get_worker_info

from sermm.core.batch import Batch
from sermm.core.ragged import Ragged
from sermm.core.records import Utterance
from sermm.data.audio import SAMPLE_RATE_HZ, AudioError, load
from sermm.data.augment.augment import Augment
from sermm.data.augment.synonyms import Reworded
from sermm.data.batching import PlannedBatch
from sermm.store.features import FeatureStore

_FULL_SCALE: Final = 32768


@dataclass(frozen=True)
class StoredStream:
    """Stored features of one encoder.

    Attributes:
        store: where they are.
        keys: of the items, by utterance id.
    """

    store: FeatureStore
    keys: Mapping[str, str]

    @property
    def shape(self) -> tuple[int, int]:
        """Layers and size of a hidden state.

        Raises:
            ValueError: the store is empty.
        """
        if self.store.shape is None:
            raise ValueError(f"nothing is stored in {self.store.folder}")
        return self.store.shape


@dataclass(frozen=True)
class Inputs:
    """What a system reads of each utterance; by utterance id.

    Attributes:
        waveform: whether audio is wanted; if not, no audio file is opened.
        tokens: token ids; None if they are not wanted.
        characters: ids of characters, none of an utterance that is cut; None if not wanted.
        units: start and end of the units of speech by level, 10 ms, end exclusive.
        stored: features from the store by stream name.
    """

    waveform: bool = False
    tokens: Mapping[str, Int[Tensor, " n"]] | None = None
    characters: Mapping[str, Int[Tensor, " c"]] | None = None
    units: Mapping[str, Mapping[str, Int[Tensor, "k 2"]]] = field(default_factory=dict)
    stored: Mapping[str, StoredStream] = field(default_factory=dict)


class KeptAudio:
    """Decoded waveforms in memory, as many as fit under a cap.

    Samples from 16-bit files are kept in 16 bits; what this would round is kept in 32, so a kept
    waveform is the decoded one, bit for bit. With DataLoader workers each holds its own share.

    Args:
        megabytes: the cap, in units of 10^6 bytes; 0 keeps nothing.
    """

    def __init__(self, megabytes: int) -> None:
        self._limit = megabytes * 1_000_000
        self._held = 0
        self._kept: dict[str, Shaped[Tensor, " t"]] = {}

    def get(self, utterance_id: str) -> Float[Tensor, " t"] | None:
        """The waveform of an utterance, or None if it is not kept."""
        kept = self._kept.get(utterance_id)
        if kept is None or kept.dtype == torch.float32:
            return kept
        return kept.float().div_(_FULL_SCALE)

    def offer(self, utterance_id: str, waveform: Float[Tensor, " t"]) -> None:
        """Keeps a waveform if it fits."""
        worker = get_worker_info()
        left = self._limit // (worker.num_workers if worker else 1) - self._held
        if left < 2 * waveform.numel():
            return
        packed = _in_16_bits(waveform)
        if packed.nbytes <= left:
            self._kept[utterance_id] = packed
            self._held += packed.nbytes


class UtteranceDataset(Dataset[Batch]):
    """Utterances by position, a batch at a time; audio is decoded when asked for.

    Args:
        utterances: in the order that positions refer to.
        inputs: what is wanted of each.
        labels: class index by utterance id; None when predicting.
        max_seconds: longer audio is cut; None: none is.
        kept: where decoded audio is kept; only as it was decoded.
        augment: varies audio anew in each epoch; positions must then come from a `BatchPlan`.
        reworded: gives the tokens anew in each epoch, in place of those of the inputs; likewise.
    """

    def __init__(
        self,
        utterances: Sequence[Utterance],
        inputs: Inputs,
        *,
        labels: Mapping[str, int] | None = None,
        max_seconds: float | None = None,
        kept: KeptAudio | None = None,
        augment: Augment | None = None,
        reworded: Reworded | None = None,
    ) -> None:
        self._utterances = tuple(utterances)
        self._inputs, self._labels = inputs, labels
        self._max_seconds = max_seconds
        self._kept = kept or KeptAudio(0)
        self._augment, self._reworded = augment, reworded

    def __len__(self) -> int:
        """The number of utterances."""
        return len(self._utterances)

    def __getitem__(self, index: int) -> Batch:
        return self.__getitems__([index])

    def __getitems__(self, indices: Sequence[int]) -> Batch:
        """The batch of these positions; DataLoader calls this when there is a batch sampler.

        Raises:
            ValueError: something is to be varied, and the positions do not say for which epoch.
        """
        chosen = [self._utterances[i] for i in indices]
        ids = tuple(u.id for u in chosen)
        wanted, labels = self._inputs, self._labels
        heard, partly = self._heard(chosen, indices) if wanted.waveform else ([], set())
        return Batch(
            ids,
            waveform=Ragged.pack(heard) if wanted.waveform else None,
            tokens=self._read(ids, indices),
            characters=_packed(wanted.characters, ids, partly),
            cached={
                name: stream.store.read([stream.keys[i] for i in ids])
                for name, stream in wanted.stored.items()
            },
            units={
                level: Ragged.pack([units[i] for i in ids]) for level, units in wanted.units.items()
            },
            speakers=tuple(u.speaker for u in chosen),
            label=None if labels is None else torch.tensor([labels[i] for i in ids]),
        )

    def _heard(
        self, chosen: Sequence[Utterance], indices: Sequence[int]
    ) -> tuple[list[Float[Tensor, " _"]], set[str]]:
        """The waveforms, varied if that is wanted; what is then too long is cut again.

        Returns:
            The waveforms, and the ids of those that were cut here.
        """
        waveforms = [self._load(u) for u in chosen]
        if self._augment is None:
            return waveforms, set()
        epoch = _epoch_of(indices)
        varied = {
            utterance.id: self._augment(waveform, epoch, utterance.id)
            for waveform, utterance in zip(waveforms, chosen, strict=True)
        }
        most = None if self._max_seconds is None else round(self._max_seconds * SAMPLE_RATE_HZ)
        partly = {i for i, waveform in varied.items() if most is not None and len(waveform) > most}
        return [waveform[:most] for waveform in varied.values()], partly

    def _read(self, ids: Sequence[str], indices: Sequence[int]) -> Ragged | None:
        """The token ids, of reworded transcripts if that is wanted."""
        if self._reworded is None:
            return _packed(self._inputs.tokens, ids)
        return self._reworded.tokens(ids, _epoch_of(indices))

    def _load(self, utterance: Utterance) -> Float[Tensor, " t"]:
        waveform = self._kept.get(utterance.id)
        if waveform is None:
            try:
                waveform = load(
                    utterance.path, utterance.start_s, utterance.end_s, self._max_seconds
                )
            except AudioError as error:
                raise AudioError(f"utterance {utterance.id}: {error}", error.kind) from error
            self._kept.offer(utterance.id, waveform)
        return waveform


def as_it_is(batch: Any) -> Any:
    """What the dataset gives is a batch already."""
    return batch


def _epoch_of(indices: Sequence[int]) -> int:
    if not isinstance(indices, PlannedBatch):
        raise ValueError("what is varied needs a batch of a BatchPlan, with its epoch")
    return indices.epoch


def _packed(
    sequences: Mapping[str, Int[Tensor, " _"]] | None,
    ids: Sequence[str],
    without: Collection[str] = (),
) -> Ragged | None:
    """The sequences in the order of the ids, empty where there are to be none."""
    if sequences is None:
        return None
    return Ragged.pack([sequences[i][:0] if i in without else sequences[i] for i in ids])


def _in_16_bits(waveform: Float[Tensor, " t"]) -> Shaped[Tensor, " t"]:
    """The waveform in 16 bits if that changes nothing, else as it is."""
    scaled = waveform * _FULL_SCALE
    packed = scaled.clamp(-_FULL_SCALE, _FULL_SCALE - 1).to(torch.int16)
    return packed if torch.equal(packed.float(), scaled) else waveform
