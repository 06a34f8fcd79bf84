import pytest
import torch

from sermm.core.errors import InputError
from sermm.core.ragged import Ragged
from sermm.models.attention import Attention
from sermm.models.transformer_branch import TransformerBranch, block_sizes


def states(lengths, *shape, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return Ragged.pack([torch.randn(t, *shape, generator=generator) for t in lengths])


def branch(d=12, width=5):
    torch.manual_seed(0)
    return TransformerBranch(d, width, 0.2, heads=3, feed_forward=16)


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
