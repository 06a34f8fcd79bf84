import jaxtyping
import pytest
import torch
from torch.nn.functional import cross_entropy

from sermm.core.batch import Batch
from sermm.core.errors import InputError
from sermm.core.ragged import Ragged
from sermm.encoders.stored import Stored
from sermm.models.concatenation import Concatenation

AXES = ["sequence", "feature"]


def system(axis, **widths):
    torch.manual_seed(0)
    streams = {name: Stored(name, width, 2) for name, width in widths.items()}
    return Concatenation(streams, 2, axis=axis, width=16)


def batch_of(seed=0, **sizes):
    """Streams as name=(width, lengths)."""
    generator = torch.Generator().manual_seed(seed)
    cached = {
        name: Ragged.pack([torch.randn(t, 2, width, generator=generator) for t in lengths])
        for name, (width, lengths) in sizes.items()
    }
    n = len(next(iter(cached.values())))
    return Batch(tuple(str(i) for i in range(n)), cached=cached)


def part_of(batch, rows):
    cached = {n: Ragged.pack([r.split()[i] for i in rows]) for n, r in batch.cached.items()}
    return Batch(tuple(batch.ids[i] for i in rows), cached=cached)


def test_along_the_sequence_is_the_branch_over_the_joined_positions():
    model = system("sequence", text=8, frame=8).eval()
    batch = batch_of(text=(8, [3, 0, 1]), frame=(8, [5, 4, 2]))
    text, frame = (states.split() for states in model.mixed(batch).values())
    expected = [model.layers(torch.cat(parts)).mean(0) for parts in zip(text, frame, strict=True)]
    torch.testing.assert_close(model(batch).embedding, torch.stack(expected))


def test_side_by_side_is_the_branch_over_the_joined_means():
    model = system("feature", text=8, frame=6).eval()
    batch = batch_of(text=(8, [3, 0, 1]), frame=(6, [5, 4, 2]))
    means = [states.mean() for states in model.mixed(batch).values()]
    expected = model.layers(torch.cat(means, -1))
    torch.testing.assert_close(model(batch).embedding, expected)


@pytest.mark.parametrize("axis", AXES)
def test_alone_as_in_the_batch_and_in_any_order(axis):
    model = system(axis, text=8, frame=6).eval()
    batch = batch_of(text=(8, [3, 0, 1]), frame=(6, [5, 4, 20]))
    logits = model(batch).logits
    for i in range(3):
        torch.testing.assert_close(model(part_of(batch, [i])).logits[0], logits[i])
    torch.testing.assert_close(model(part_of(batch, [2, 0, 1])).logits, logits[[2, 0, 1]])


@pytest.mark.parametrize("axis", AXES)
def test_nothing_at_all_gives_finite_numbers(axis):
    model = system(axis, text=8, frame=6)
    batch = batch_of(text=(8, [0, 2]), frame=(6, [0, 3]))
    model(batch).logits.sum().backward()
    assert model(batch).logits.isfinite().all()
    assert all(p.grad.isfinite().all() for p in model.parameters())


@pytest.mark.parametrize(("axis", "projected"), [("sequence", ["frame"]), ("feature", [])])
def test_gradients_reach_every_parameter(axis, projected):
    model = system(axis, text=8, frame=6)
    assert list(model.projections) == projected
    batch = batch_of(text=(8, [3, 2]), frame=(6, [5, 4]))
    cross_entropy(model(batch).logits, torch.tensor([0, 1])).backward()
    assert not [n for n, p in model.named_parameters() if p.grad is None or not p.grad.any()]


def test_refuses_another_axis_and_no_streams(monkeypatch):
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)
    with pytest.raises(InputError, match="axis=time: expected sequence, feature"):
        system("time", text=8)
    with pytest.raises(InputError, match="one stream or more"):
        system("feature")
