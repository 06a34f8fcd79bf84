import pytest
import torch

from sermm.core.batch import Batch
from sermm.core.ragged import Ragged


def test_parts_must_agree_on_the_number_of_utterances():
    two = Ragged.pack([torch.zeros(3), torch.zeros(1)])
    with pytest.raises(ValueError, match=r"3 ids, but \{'waveform': 2, 'label': 2\}"):
        Batch(("a", "b", "c"), waveform=two, label=torch.tensor([0, 1]))


def test_to_moves_every_part():
    one = Ragged.pack([torch.zeros(3)])
    batch = Batch(("a",), waveform=one, tokens=one, cached={"s": one}, label=torch.tensor([0]))
    moved = batch.to("meta")
    devices = {moved.waveform.values.device.type, moved.tokens.values.device.type}
    devices |= {moved.cached["s"].values.device.type, moved.label.device.type}
    assert devices == {"meta"}
    assert moved.waveform.lengths.device.type == "cpu"
