import jaxtyping
import pytest
import torch
from torch.nn.functional import cross_entropy

from sermm.core.batch import Batch
from sermm.core.errors import InputError
from sermm.core.ragged import Ragged
from sermm.encoders.base import Encoder
from sermm.models.concatenation import Concatenation

AXES = ["sequence", "feature"]


class Given(Encoder):
    """Hidden states that the test gives, as `cached`."""

    def __init__(self, name, width, n_layers=2):
        super().__init__()
        self.name, self.width, self.n_layers = name, width, n_layers

    def forward(self, batch):
        return batch.cached[self.name]


def system(axis, **widths):
    torch.manual_seed(0)
    streams = {name: Given(name, width) for name, width in widths.items()}
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


def planted(stream, seed, n=48):
    """Noise in both streams, and in one of them the class: every position a little off."""
    generator = torch.Generator().manual_seed(seed)
    label = torch.arange(n) % 2
    cached = {}
    for name in ("text", "frame"):
        noise = torch.randn(4 * n, 2, 8, generator=generator)
        noise[:, :, 0] += 1.5 * (2.0 * label - 1).repeat_interleave(4)[:, None] * (name == stream)
        cached[name] = Ragged(noise, torch.full((n,), 4))
    return Batch(tuple(str(i) for i in range(n)), cached=cached, label=label)


def share_right_after_training(model, stream):
    optimiser = torch.optim.Adam(model.parameters(), lr=1e-2)
    for step in range(40):
        train = planted(stream, seed=step)
        loss = cross_entropy(model(train).logits, train.label)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    test = planted(stream, seed=1000, n=200)
    return (model.eval()(test).logits.argmax(-1) == test.label).float().mean().item()


@pytest.mark.parametrize("axis", AXES)
@pytest.mark.parametrize("stream", ["text", "frame"])
def test_learns_the_cue_of_one_stream_unless_it_is_withheld(axis, stream):
    other = {"text": "frame", "frame": "text"}[stream]
    assert share_right_after_training(system(axis, text=8, frame=8), stream) > 0.9
    assert share_right_after_training(system(axis, **{other: 8}), stream) < 0.65


def test_along_the_sequence_is_the_branch_over_the_joined_positions():
    model = system("sequence", text=8, frame=8).eval()
    batch = batch_of(text=(8, [3, 0, 1]), frame=(8, [5, 4, 2]))
    text, frame = (model.mixes[n](batch.cached[n]).split() for n in ("text", "frame"))
    expected = [model.layers(torch.cat(parts)).mean(0) for parts in zip(text, frame, strict=True)]
    torch.testing.assert_close(model(batch).embedding, torch.stack(expected))


def test_side_by_side_is_the_branch_over_the_joined_means():
    model = system("feature", text=8, frame=6).eval()
    batch = batch_of(text=(8, [3, 0, 1]), frame=(6, [5, 4, 2]))
    means = [model.mixes[n](batch.cached[n]).mean() for n in ("text", "frame")]
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
    with pytest.raises(InputError, match="axis=time: concatenation knows sequence, feature"):
        system("time", text=8)
    with pytest.raises(InputError, match="one stream or more"):
        system("feature")
