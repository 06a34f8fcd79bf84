import gc

import torch

from sermm.core.batch import Batch
from sermm.core.ragged import Ragged
from sermm.encoders.base import Encoder
from sermm.encoders.shared import Shared


class Counted(Encoder):
    """Counts its calls; gives back the waveform."""

    needs = frozenset({"waveform"})
    width, n_layers = 1, 1

    def __init__(self):
        super().__init__()
        self.calls = 0

    def forward(self, batch):
        self.calls += 1
        return batch.waveform.map(lambda values: values.view(-1, 1, 1))


def batch_of(*values):
    return Batch(("a",), waveform=Ragged.pack([torch.tensor(values)]))


def test_one_call_a_batch():
    inner = Counted()
    shared = Shared(inner)
    first, second = batch_of(1.0, 2.0), batch_of(3.0)
    assert shared(first) is shared(first)
    assert inner.calls == 1
    assert shared(second).values.ravel().tolist() == [3.0]
    assert shared(first).values.ravel().tolist() == [1.0, 2.0]
    assert inner.calls == 3


def test_nothing_is_kept_of_a_batch_that_is_gone():
    shared = Shared(Counted())
    batch = batch_of(1.0)
    shared(batch)
    del batch
    gc.collect()
    assert shared._hidden is None
