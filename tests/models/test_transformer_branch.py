import pytest
import torch

from sermm.core.errors import InputError
from sermm.core.ragged import Ragged
from sermm.models.transformer_branch import (
    Attention,
    TransformerBranch,
    attend_one_by_one,
    attend_padded,
    block_sizes,
)


def states(lengths, *shape, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return Ragged.pack([torch.randn(t, *shape, generator=generator) for t in lengths])


def branch(d=12, width=5):
    torch.manual_seed(0)
    return TransformerBranch(d, width, 0.2, heads=3, feed_forward=16)


def test_attention_by_hand():
    # Two heads of size 1: scores 1 and 0, then 0 and 2; values 4 and 8 in both.
    query = Ragged.pack([torch.tensor([[[1.0], [2.0]]])])
    key = Ragged.pack([torch.tensor([[[1.0], [0.0]], [[0.0], [1.0]]])])
    value = Ragged.pack([torch.tensor([[[4.0], [4.0]], [[8.0], [8.0]]])])
    share = torch.sigmoid(torch.tensor([1.0, 2.0]))
    expected = torch.stack([4 * share[0] + 8 * (1 - share[0]), 4 * (1 - share[1]) + 8 * share[1]])
    for attend in (attend_one_by_one, attend_padded):
        found = attend(query, key, value, 0.0)
        torch.testing.assert_close(found.values, expected[None, :, None])


def test_padding_changes_neither_attention_nor_its_gradient():
    query = states([3, 0, 5, 2], 2, 4)
    key, value = states([6, 4, 1, 0], 2, 4, seed=1), states([6, 4, 1, 0], 2, 4, seed=2)
    results = []
    for attend in (attend_one_by_one, attend_padded):
        leaves = [part.values.clone().requires_grad_() for part in (query, key, value)]
        parts = [p.with_values(v) for p, v in zip((query, key, value), leaves, strict=True)]
        found = attend(*parts, 0.0)
        assert found.split()[3].abs().sum() == 0
        found.values.square().sum().backward()
        results.append([found.values, *(leaf.grad for leaf in leaves)])
    torch.testing.assert_close(*results)
    assert all(tensor.isfinite().all() for tensor in results[1])


def test_alone_as_in_the_batch():
    model, hidden = branch().eval(), states([4, 1, 0, 9], 12)
    together = model(hidden)
    for i, sequence in enumerate(hidden.split()):
        torch.testing.assert_close(model(Ragged.pack([sequence]))[0], together[i])
    order = [3, 0, 2, 1]
    turned = model(Ragged.pack([hidden.split()[i] for i in order]))
    torch.testing.assert_close(turned, together[order])


def test_positions_have_no_order_but_do_see_each_other():
    model, sequence = branch().eval(), states([6], 12).values
    found = model(Ragged.pack([sequence]))
    torch.testing.assert_close(model(Ragged.pack([sequence.flip(0)])), found)
    model.layer = torch.nn.Identity()
    whole = model(Ragged.pack([sequence]))
    halves = model(Ragged.pack([sequence[:3], sequence[3:]])).mean(0, keepdim=True)
    assert (whole - halves).abs().max() > 1e-3


@pytest.mark.parametrize("lengths", [[0, 3], [0, 0]])
def test_an_empty_sequence_gives_zeros_in_training_too(lengths):
    model = branch()
    found = model(states(lengths, 12))
    assert found[0].abs().sum() == 0
    found.sum().backward()
    assert all(p.grad is None or p.grad.isfinite().all() for p in model.parameters())


def test_gradients_reach_every_parameter():
    model = branch()
    model(states([4, 7], 12)).square().sum().backward()
    # A key's bias adds the same to all scores of a query, so its gradient is zero.
    lost = [n for n, p in model.named_parameters() if p.grad is None or not p.grad.any()]
    assert not [name for name in lost if not name.endswith("key.bias")]


def test_dropout_only_in_training():
    model, hidden = branch(), states([4, 7], 12)
    assert not torch.equal(model(hidden), model(hidden))
    model.eval()
    assert torch.equal(model(hidden), model(hidden))


def test_computes_in_bfloat16():
    model, hidden = branch().eval(), states([4, 0, 7], 12)
    with torch.autocast("cpu", torch.bfloat16):
        found = model(hidden)
    torch.testing.assert_close(found.float(), model(hidden), atol=0.03, rtol=0.03)


def test_heads_must_divide_the_width():
    with pytest.raises(InputError, match="heads=12 cannot share states of size 16"):
        TransformerBranch(16, 4, 0.2, heads=12)
    assert block_sizes(768, None, None) == (12, 3072)
    assert block_sizes(16, None, 8) == (1, 8)
    with pytest.raises(InputError, match="heads=0"):
        Attention(16, 0, 0.1)
