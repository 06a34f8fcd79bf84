"""Utterances as tensors, one at a time, and their assembly into a `Batch`."""

from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

import torch
from jaxtyping import Float, Int, Shaped
from torch import Tensor
from torch.utils.data import Dataset, get_worker_info

from sermm.core.batch import Batch
from sermm.core.ragged import Ragged
from sermm.core.records import Utterance
from sermm.data.audio import AudioError, load

_FULL_SCALE: Final = 32768


class Item(NamedTuple):
    """One utterance as tensors.

    Attributes:
        id: of the utterance.
        waveform: samples at 16 kHz, `[t]`, if asked for; likewise `tokens`.
        tokens: token ids, int64.
        label: class index; None when predicting.
    """

    id: str
    waveform: Float[Tensor, " t"] | None = None
    tokens: Int[Tensor, " n"] | None = None
    label: int | None = None


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
        packed = _packed(waveform)
        if packed.nbytes <= left:
            self._kept[utterance_id] = packed
            self._held += packed.nbytes


class UtteranceDataset(Dataset[Item]):
    """Utterances by position; audio is decoded when asked for.

    Args:
        utterances: in the order that positions refer to.
        waveform: whether audio is wanted; if not, no file is opened.
        tokens: token ids by utterance id; None if they are not wanted.
        labels: class index by utterance id; None when predicting.
        max_seconds: longer audio is cut.
        kept: where decoded audio is kept.
    """

    def __init__(
        self,
        utterances: Sequence[Utterance],
        *,
        waveform: bool,
        tokens: Mapping[str, Int[Tensor, " n"]] | None = None,
        labels: Mapping[str, int] | None = None,
        max_seconds: float | None = None,
        kept: KeptAudio | None = None,
    ) -> None:
        self._utterances = tuple(utterances)
        self._waveform = waveform
        self._tokens, self._labels = tokens, labels
        self._max_seconds = max_seconds
        self._kept = kept or KeptAudio(0)

    def __len__(self) -> int:
        """The number of utterances."""
        return len(self._utterances)

    def __getitem__(self, index: int) -> Item:
        utterance = self._utterances[index]
        return Item(
            utterance.id,
            self._load(utterance) if self._waveform else None,
            None if self._tokens is None else self._tokens[utterance.id],
            None if self._labels is None else self._labels[utterance.id],
        )

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


def collate(items: Sequence[Item]) -> Batch:
    """Lays the utterances of a batch end to end, without padding."""
    waveforms = [item.waveform for item in items if item.waveform is not None]
    tokens = [item.tokens for item in items if item.tokens is not None]
    labels = [item.label for item in items if item.label is not None]
    return Batch(
        ids=tuple(item.id for item in items),
        waveform=Ragged.pack(waveforms) if waveforms else None,
        tokens=Ragged.pack(tokens) if tokens else None,
        label=torch.tensor(labels) if labels else None,
    )


def _packed(waveform: Float[Tensor, " t"]) -> Shaped[Tensor, " t"]:
    """The waveform in 16 bits if that changes nothing, else as it is."""
    scaled = waveform * _FULL_SCALE
    packed = scaled.clamp(-_FULL_SCALE, _FULL_SCALE - 1).to(torch.int16)
    return packed if torch.equal(packed.float(), scaled) else waveform
