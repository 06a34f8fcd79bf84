"""Late fusion is the sum of its parts, and a system knows its encoders."""

from collections.abc import Sequence

import torch

from sermm.core.batch import Batch
from sermm.core.ragged import Ragged
from sermm.encoders.base import Encoder, TextEncoder
from sermm.models.late_fusion import LateFusion


class Given(Encoder):
    """Hidden states that the test gives, as `cached`."""

    needs = frozenset({"waveform"})

    def __init__(self, name: str, width: int, n_layers: int = 1) -> None:
        super().__init__()
        self.name, self.width, self.n_layers = name, width, n_layers

    def forward(self, batch: Batch) -> Ragged:
        return batch.cached[self.name]


class GivenText(Given, TextEncoder):
    needs = frozenset({"tokens"})

    def tokenize(self, transcripts: Sequence[str]) -> list[list[int]]:
        raise NotImplementedError


def states(lengths, width, n_layers=1, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return Ragged.pack([torch.randn(t, n_layers, width, generator=generator) for t in lengths])


def test_late_fusion_is_the_sum_of_its_branches():
    torch.manual_seed(0)
    system = LateFusion({"speech": Given("a", 6, 3), "text": GivenText("l", 4)}, 3).eval()
    batch = Batch(("x", "y"), cached={"a": states([5, 2], 6, 3), "l": states([3, 4], 4)})
    output = system(batch)
    single = {}
    for name, stream in system.streams.items():
        alone = LateFusion({name: stream}, 3)
        for part in ("mixes", "branches", "classifiers"):
            getattr(alone, part)[name] = getattr(system, part)[name]
        single[name] = alone.eval()(batch)
    expected = single["speech"].logits + single["text"].logits
    torch.testing.assert_close(output.logits, expected)
    assert output.embedding.shape == (2, 256)


def test_a_system_names_its_encoders_and_what_they_read():
    system = LateFusion({"speech": Given("a", 6), "text": GivenText("l", 4)}, 3)
    assert list(system.encoders) == ["streams.speech", "streams.text"]
    assert system.needs == {"waveform", "tokens"}
    assert system.text_encoder is system.streams["text"]
    assert LateFusion({"speech": Given("a", 6)}, 3).text_encoder is None
