import torch

from sermm.core.ragged import Ragged
from sermm.models.attention import attend_one_by_one, attend_padded


def states(lengths, *shape, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return Ragged.pack([torch.randn(t, *shape, generator=generator) for t in lengths])


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
