"""A stream is text or speech by its encoder, whatever it is called."""

from collections.abc import Sequence

import pytest
import torch

from sermm.core.batch import Batch
from sermm.core.errors import InputError
from sermm.core.ragged import Ragged
from sermm.encoders.base import Encoder, TextEncoder
from sermm.encoders.modality_dropout import ModalityDropout
from sermm.encoders.normalised import Normalised
from sermm.encoders.shared import Shared
from sermm.encoders.stored import Stored
from sermm.models.caf import CrossAttentionFusion
from sermm.models.coattention import CoAttention
from sermm.models.concatenation import Concatenation
from sermm.models.late_fusion import LateFusion

D = 8
SPEECH, WORDS = [4, 1, 3], [2, 3, 1]


class Heard(Encoder):
    needs = frozenset({"waveform"})
    width, n_layers = D, 1

    def forward(self, batch: Batch) -> Ragged:
        return states(SPEECH, 0)


class Read(TextEncoder):
    width, n_layers = D, 1

    def tokenize(self, transcripts: Sequence[str]) -> list[list[int]]:
        raise NotImplementedError

    def forward(self, batch: Batch) -> Ragged:
        return states(WORDS, 1)


def states(lengths, seed):
    generator = torch.Generator().manual_seed(seed)
    return Ragged.pack([torch.randn(n, 1, D, generator=generator) for n in lengths])


SYSTEMS = {
    "late fusion": lambda streams: LateFusion(streams, 2),
    "concatenation": lambda streams: Concatenation(streams, 2),
    "cross-attention": lambda streams: CrossAttentionFusion(streams, 2, width=D),
    "co-attention": lambda streams: CoAttention(streams, 2, heads=2, feed_forward=8, depth=1),
}
BATCH = Batch(("a", "b", "c"))


@pytest.mark.parametrize("name", SYSTEMS)
def test_a_text_encoder_of_a_stream_called_words_is_pooled_as_text(name):
    system = SYSTEMS[name]({"words": Read(), "frame": Heard()}).eval()
    pooled = system(BATCH).pooled
    assert set(pooled) == {"speech", "text"}
    if name != "late fusion":
        means = {n: mixed.mean() for n, mixed in system.mixed(BATCH).items()}
        torch.testing.assert_close(pooled["text"], means["words"])
        torch.testing.assert_close(pooled["speech"], means["frame"])


def test_a_speech_encoder_of_a_stream_called_text_is_pooled_as_speech():
    assert set(LateFusion({"text": Heard(), "frame": Heard()}, 2)(BATCH).pooled) == {"speech"}


def test_streams_of_one_modality_are_pooled_in_a_row_in_their_order():
    system = Concatenation({"frame": Heard(), "words": Read(), "phone": Heard()}, 2).eval()
    means = {name: mixed.mean() for name, mixed in system.mixed(BATCH).items()}
    expected = torch.cat([means["frame"], means["phone"]], dim=-1)
    torch.testing.assert_close(system(BATCH).pooled["speech"], expected)


def test_co_attention_finds_its_text_and_names_it_in_what_it_attended():
    system = SYSTEMS["co-attention"]({"frame": Heard(), "words": Read(), "phone": Heard()}).eval()
    found = [(attended.query, attended.key) for attended in system.attended(BATCH)]
    assert found == [(a, b) for i in ("frame", "phone") for a, b in ((i, "words"), ("words", i))]
    with pytest.raises(InputError, match=r"one stream of text .*; 2 of these are text"):
        SYSTEMS["co-attention"]({"text": Read(), "words": Read(), "frame": Heard()})


def test_what_is_wrapped_around_an_encoder_or_stands_in_for_it_has_its_modality():
    for encoder in (Read(), Stored("words", D, 1, "text")):
        wrapped = ModalityDropout(Normalised(Shared(encoder), "global"), "zero")
        assert wrapped.modality == "text"
    assert Normalised(Heard(), "global").modality == "speech"
