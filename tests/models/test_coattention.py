import pytest
import torch
from torch import nn
from torch.nn.functional import cross_entropy

from sermm.core.batch import Batch
from sermm.core.errors import InputError
from sermm.core.ragged import Ragged
from sermm.encoders.stored import Stored
from sermm.models.coattention import CoAttention, CoAttentionLayer

MODALITIES = {"text": "text", "frame": "speech", "phone": "speech"}
SMALL = {"heads": 2, "feed_forward": 16, "depth": 2}


def system(*names, widths=None, **options):
    torch.manual_seed(0)
    widths = widths or dict.fromkeys(names, 8)
    streams = {name: Stored(name, widths[name], 2, MODALITIES[name]) for name in names}
    return CoAttention(streams, 2, **(SMALL | options))


def batch_of(lengths, width=8, seed=0):
    """The same lengths of text, of frames and of phones in turn, so that they differ."""
    generator = torch.Generator().manual_seed(seed)
    streams = {}
    for shift, name in enumerate(("text", "frame", "phone")):
        turned = lengths[shift:] + lengths[:shift]
        streams[name] = Ragged.pack([torch.randn(t, 2, width, generator=generator) for t in turned])
    return Batch(tuple(str(i) for i in range(len(lengths))), cached=streams)


def part_of(batch, rows):
    cached = {n: Ragged.pack([r.split()[i] for i in rows]) for n, r in batch.cached.items()}
    return Batch(tuple(batch.ids[i] for i in rows), cached=cached)


def test_both_branches_are_updated_from_the_values_of_the_layer_before():
    torch.manual_seed(0)
    layer = CoAttentionLayer(8, 2, 16, 0.1).eval()
    batch = batch_of([3, 5])
    text, speech = (batch.cached[name].map(lambda v: v[:, 0]) for name in ("text", "frame"))
    new_text, new_speech = layer(text, speech)
    torch.testing.assert_close(new_text.values, layer.text(text, speech).values)
    torch.testing.assert_close(new_speech.values, layer.speech(speech, text).values)
    assert (new_speech.values - layer.speech(speech, new_text).values).abs().max() > 1e-3


def test_alone_as_in_the_batch_and_in_any_order():
    model, batch = system("text", "frame", "phone").eval(), batch_of([3, 1, 0, 9])
    logits = model(batch).logits
    for i in range(4):
        torch.testing.assert_close(model(part_of(batch, [i])).logits[0], logits[i])
    order = [2, 0, 3, 1]
    torch.testing.assert_close(model(part_of(batch, order)).logits, logits[order])


def test_each_granularity_has_a_model_of_its_own_and_c_keeps_their_order():
    model, batch = system("text", "frame", "phone").eval(), batch_of([3, 4])
    model.fuse, model.norm, model.classifier = nn.Identity(), nn.Identity(), nn.Linear(16, 2)
    nn.init.zeros_(model.stacks["phone"].layers[-1].text.norm_feed_forward.weight)
    nn.init.zeros_(model.stacks["phone"].layers[-1].speech.norm_feed_forward.weight)
    # fuse is the identity, so g = ReLU(c) + c; the stack of phones ends in zeros.
    g = model(batch).embedding
    assert g.shape == (2, 16)
    assert (g[:, :8] != 0).all()
    assert (g[:, 8:] == 0).all()


def test_c_is_the_mean_of_both_means():
    model = system("text", "frame", depth=0).eval()
    batch = batch_of([3, 4])
    text, frame = (model.mixes[n](batch.cached[n]).mean() for n in ("text", "frame"))
    model.fuse, model.norm = nn.Linear(8, 8), nn.Identity()
    nn.init.zeros_(model.fuse.weight)
    nn.init.zeros_(model.fuse.bias)
    torch.testing.assert_close(model(batch).embedding, (text + frame) / 2)


@pytest.mark.parametrize("empty", ["text", "frame"])
def test_an_empty_stream_gives_finite_numbers_and_gradients(empty):
    model, batch = system("text", "frame"), batch_of([3, 4])
    second = batch.cached[empty].split()[1]
    cached = dict(batch.cached) | {empty: Ragged.pack([second[:0], second])}
    output = model(Batch(batch.ids, cached=cached))
    output.logits.sum().backward()
    assert output.logits.isfinite().all()
    assert all(p.grad.isfinite().all() for p in model.parameters())


def test_gradients_reach_every_parameter():
    model = system("text", "frame", "phone", widths={"text": 8, "frame": 6, "phone": 6})
    wide, narrow = batch_of([3, 4]), batch_of([3, 4], width=6)
    batch = Batch(wide.ids, cached=dict(narrow.cached) | {"text": wide.cached["text"]})
    cross_entropy(model(batch).logits, torch.tensor([0, 1])).backward()
    # A key's bias adds the same to all scores of a query, so its gradient is zero.
    lost = [n for n, p in model.named_parameters() if p.grad is None or not p.grad.any()]
    assert not [name for name in lost if not name.endswith("key.bias")]


def test_streams_of_the_width_of_text_are_not_projected():
    model = system("text", "frame", "phone", widths={"text": 8, "frame": 8, "phone": 6})
    assert list(model.projections) == ["phone"]


@pytest.mark.parametrize("names", [("text",), ("frame", "phone")])
def test_needs_text_and_speech(names):
    with pytest.raises(InputError, match="one or more speech"):
        system(*names)


def test_heads_must_divide_the_width_of_text():
    with pytest.raises(InputError, match="heads=3 cannot share states of size 8"):
        system("text", "frame", heads=3)


def test_the_cosine_of_both_branches_is_measured_for_each_stream():
    model, batch = system("text", "frame", "phone").eval(), batch_of([3, 5, 0])
    output = model(batch)
    mixed = model.mixed(batch)
    assert set(output.measures) == {"cosine_frame", "cosine_phone"}
    for name in ("frame", "phone"):
        text, speech = mixed["text"], mixed[name]
        for layer in model.stacks[name].layers:
            text, speech = layer(text, speech)
        a, b = text.mean(), speech.mean()
        expected = (a * b).sum(-1) / (a.norm(dim=-1) * b.norm(dim=-1)).clamp(min=1e-8)
        torch.testing.assert_close(output.measures[f"cosine_{name}"], expected)
        assert not output.measures[f"cosine_{name}"].requires_grad
    # The empty text of the third, and the phones in its place of the second.
    assert output.measures["cosine_frame"][2] == 0
