import numpy as np
import pytest
import torch

from sermm.core.batch import Batch
from sermm.core.errors import InputError
from sermm.core.ragged import Ragged
from sermm.encoders.base import Encoder
from sermm.encoders.segments import Segments, at_level, bounds, segment_means

FRAMES = Ragged.pack([torch.arange(5.0).view(5, 1, 1), (10.0 + torch.arange(3.0)).view(3, 1, 1)])


def units(*rows):
    return Ragged.pack([torch.tensor(r, dtype=torch.int64).view(-1, 2) for r in rows])


class Counting(Encoder):
    """Frames of 20 ms that count up from 0; two layers, the second tenfold."""

    needs = frozenset({"waveform"})
    frame_s = 0.02
    width, n_layers = 1, 2

    def forward(self, batch):
        frames = [torch.arange(float(n // 320)) for n in batch.waveform.sizes]
        return Ragged.pack([torch.stack([f, 10 * f], 1)[..., None] for f in frames])


def test_ten_ms_become_twenty_as_the_specification_says():
    # s, e inclusive in 10 ms -> floor(s / 2), max(floor(s / 2) + 1, ceil((e + 1) / 2)), within 5.
    inclusive = [(0, 2), (3, 8), (4, 4), (5, 5), (8, 19), (9, 9)]
    given = units([(s, e + 1) for s, e in inclusive])
    start, end = bounds(given, torch.tensor([5]), 0.02)
    expected = [(s // 2, max(s // 2 + 1, -(-(e + 1) // 2))) for s, e in inclusive]
    assert start.tolist() == [s for s, _ in expected]
    assert end.tolist() == [min(5, e) for _, e in expected]


def test_a_unit_behind_the_last_frame_gets_the_last_frame():
    start, end = bounds(units([(40, 60)]), torch.tensor([5]), 0.02)
    assert (start.item(), end.item()) == (4, 5)


def test_frames_of_another_length():
    start, end = bounds(units([(0, 3), (3, 4), (7, 12)]), torch.tensor([3]), 0.04)
    assert start.tolist() == [0, 0, 1]
    assert end.tolist() == [1, 1, 3]


def test_means_by_hand():
    given = units([(0, 4), (4, 10), (2, 8)], [(0, 6)])
    found = segment_means(FRAMES, given, 0.02)
    assert found.values.ravel().tolist() == [0.5, 3.0, 2.0, 11.0]
    assert found.sizes == [3, 1]


def test_the_printed_denominator():
    given = units([(0, 4), (4, 10), (0, 1)], [(0, 6)])
    found = segment_means(FRAMES, given, 0.02, literal=True)
    assert found.values.ravel().tolist() == [1.0, 4.5, 0.0, 16.5]


def test_an_utterance_without_units_gets_none():
    found = segment_means(FRAMES, units([], [(0, 2)]), 0.02)
    assert found.sizes == [0, 1]
    assert found.values.ravel().tolist() == [10.0]
    assert segment_means(FRAMES, units([], []), 0.02).values.shape == (0, 1, 1)


def test_against_numpy_for_many_overlapping_units():
    rng = np.random.default_rng(0)
    sizes = [7, 1, 40]
    frames = [rng.normal(size=(n, 2, 3)).astype("float32") for n in sizes]
    rows = [np.sort(rng.integers(0, 2 * n + 1, (9, 2)), 1) for n in sizes]
    found = segment_means(
        Ragged.pack([torch.tensor(f) for f in frames]), units(*(r.tolist() for r in rows)), 0.02
    )
    expected = []
    for f, row in zip(frames, rows, strict=True):
        for s, e in row:
            first = min(s // 2, len(f) - 1)
            expected.append(f[first : max(first + 1, min(len(f), -(-e // 2)))].mean(0))
    np.testing.assert_allclose(found.values.numpy(), np.stack(expected), rtol=1e-5, atol=1e-6)


def test_half_precision_is_summed_in_float32():
    frames = Ragged.pack([torch.full((3000, 1, 1), 2.01, dtype=torch.float16)])
    found = segment_means(frames, units([(0, 6000)]), 0.02)
    assert found.values.dtype == torch.float32
    assert found.values.item() == pytest.approx(float(torch.tensor(2.01).half()), rel=1e-6)


def test_segments_of_every_layer():
    batch = Batch(
        ("a",), waveform=Ragged.pack([torch.zeros(1280)]), units={"word": units([(0, 4), (4, 8)])}
    )
    system = Segments(Counting(), "word")
    assert system.needs == {"waveform", "word"}
    assert system(batch).values.squeeze(-1).tolist() == [[0.5, 5.0], [2.5, 25.0]]


def test_the_batch_must_have_the_units():
    batch = Batch(("a",), waveform=Ragged.pack([torch.zeros(1280)]))
    with pytest.raises(InputError, match="no units of level word"):
        Segments(Counting(), "word")(batch)


def test_positions_that_are_no_times():
    encoder = Counting()
    encoder.frame_s = None
    with pytest.raises(InputError, match="trim_db=null"):
        Segments(encoder, "phone")


def test_at_level():
    encoder = Counting()
    assert at_level(encoder, "frame") is encoder
    assert at_level(encoder, "syllable", literal=True).literal
    with pytest.raises(InputError, match="frame, phone, syllable or word, got 'sentence'"):
        at_level(encoder, "sentence")
