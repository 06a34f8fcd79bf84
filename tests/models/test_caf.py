"""Cross-attention fusion by hand, and the encoders that its configurations give it."""

import pytest
import torch
from torch import nn

from sermm.configuration.verbs import RunConfig
from sermm.core.batch import Batch
from sermm.core.errors import InputError
from sermm.core.ragged import Ragged
from sermm.encoders.stored import Stored
from sermm.engine.assembly.build import build
from sermm.models.caf import CrossAttentionFusion


def test_each_stream_adds_what_it_reads_in_the_other():
    system = CrossAttentionFusion(
        {"one": Stored("one", 1, 1), "two": Stored("two", 1, 1)}, 2, width=1
    )
    for mix in system.mixes.values():
        mix.norm = nn.Identity()
    for reader in system.readers.values():
        # Keys of 0 weigh all alike: what is read is the mean of the other stream.
        for part, scale in (("query", 1.0), ("key", 0.0), ("value", 1.0), ("out", 1.0)):
            getattr(reader, part).weight.data.fill_(scale)
            getattr(reader, part).bias.data.zero_()
    cached = {"one": torch.tensor([[[1.0]], [[5.0]], [[7.0]]]), "two": torch.tensor([[[2.0]]] * 2)}
    lengths = {"one": torch.tensor([2, 1]), "two": torch.tensor([2, 0])}
    batch = Batch(("x", "y"), cached={n: Ragged(v, lengths[n]) for n, v in cached.items()})
    # 3 + 2 and 2 + 3; beside nothing 7 + 0 and 0.
    assert system.eval()(batch).embedding.tolist() == [[5.0, 5.0], [7.0, 0.0]]


def test_streams_of_another_width_are_projected():
    system = CrossAttentionFusion(
        {"one": Stored("one", 6, 1), "two": Stored("two", 8, 1)}, 2, width=8
    )
    assert list(system.projections) == ["one"]
    assert system.classifier.in_features == 16


def test_it_is_between_two_streams():
    with pytest.raises(InputError, match=r"streams=\['one'\]: .* between two streams"):
        CrossAttentionFusion({"one": Stored("one", 6, 1)}, 2)


@pytest.mark.parametrize(
    ("model", "streams", "needs"),
    [
        ("caf", ["spectral", "speech"], {"waveform"}),
        ("caf_text", ["speech", "text"], {"waveform", "tokens"}),
    ],
)
def test_the_streams_of_the_configurations(model, streams, needs):
    options = [f"model={model}", "encoder/speech=tiny", "encoder/text=tiny"]
    system = build(RunConfig.of(options), 4, None, ["yes", "no"])
    assert list(system.streams) == streams
    assert system.needs == needs
    if model == "caf":
        # A BiLSTM of 2 x 128 on 40 MFCC, as wide as the fusion.
        assert system.streams["spectral"].width == 256
        assert system.text_encoder is None
