"""Equation (2) of Li 2025: what a residual of the embeddings changes, and what it does not."""

import pytest
import torch
from torch import nn

from sermm.core.batch import Batch
from sermm.core.errors import InputError
from sermm.core.ragged import Ragged
from sermm.encoders.hf.gdes import ResidualEmbedding, residuals_in
from sermm.encoders.hf.text import HFTextEncoder

TEXTS = ["I am so happy!", "Go away.", ""]


def made(folder, **options):
    return HFTextEncoder(str(folder), max_tokens=32, **options)


def batch_of(encoder):
    rows = [torch.tensor(ids, dtype=torch.int64) for ids in encoder.tokenize(TEXTS)]
    return Batch(("a", "b", "c"), tokens=Ragged.pack(rows))


def table():
    """Four tokens of three dimensions, token 0 being padding."""
    embedding = nn.Embedding(4, 3, padding_idx=0)
    with torch.no_grad():
        embedding.weight.copy_(torch.arange(12.0).view(4, 3))
    return embedding


@pytest.mark.parametrize("gdes", ["full", 2])
def test_at_step_0_a_residual_changes_nothing(text_folder, gdes):
    plain, with_gdes = made(text_folder), made(text_folder, gdes=gdes)
    (residual,) = residuals_in(with_gdes)
    with torch.no_grad():
        found, expected = (e.eval()(batch_of(e)).values for e in (with_gdes, plain))
    assert torch.equal(found, expected)
    trained = {name for name, p in with_gdes.named_parameters() if p.requires_grad}
    place = next(name for name, part in with_gdes.named_modules() if part is residual)
    assert {f"{place}.{name}" for name, _ in residual.named_parameters()} <= trained
    assert f"{place}.weight" not in trained


@pytest.mark.parametrize("gdes", ["full", 2])
def test_the_pretrained_table_stays_and_the_residual_learns(text_folder, gdes):
    encoder = made(text_folder, gdes=gdes)
    (residual,) = residuals_in(encoder)
    before = residual.pretrained.clone()
    batch = batch_of(encoder)
    optimizer = torch.optim.AdamW(encoder.parameters(), lr=0.01)
    encoder.eval()(batch).values.square().sum().backward()
    optimizer.step()
    assert torch.equal(residual.pretrained, before)
    seen = batch.tokens.values.unique()
    moved = (residual(torch.arange(len(before))) != before).any(-1)
    padding = residual.padding_idx
    assert all(moved[i] for i in seen.tolist() if i != padding)
    assert padding is None or not moved[padding]


def test_by_plain_gradient_descent_it_is_ordinary_fine_tuning():
    plain = table()
    residual = ResidualEmbedding(table(), None)
    ids, target = torch.tensor([1, 3, 3, 0]), torch.ones(4, 3)
    for module in (plain, residual):
        optimizer = torch.optim.SGD(module.parameters(), lr=0.1)
        for _ in range(3):
            optimizer.zero_grad()
            (module(ids) - target).square().sum().backward()
            optimizer.step()
    every = torch.arange(4)
    torch.testing.assert_close(residual(every), plain(every))


def test_weight_decay_pulls_to_the_pretrained_table_and_not_to_zero():
    plain, residual = table(), ResidualEmbedding(table(), None)
    for module in (plain, residual):
        optimizer = torch.optim.AdamW(module.parameters(), lr=0.1, weight_decay=0.5)
        module(torch.tensor([1])).sum().backward()
        optimizer.step()
    # Token 2 was not seen: AdamW shrinks its embedding by lr x decay, but has nothing to shrink of
    # a residual of zero.
    torch.testing.assert_close(plain.weight[2], 0.95 * table().weight[2])
    assert torch.equal(residual(torch.tensor([2]))[0], table().weight[2])


def test_a_low_rank_residual_by_hand_and_its_size():
    residual = ResidualEmbedding(table(), 2)
    assert sum(p.numel() for p in residual.parameters()) == 4 * 2 + 2 * 3
    with torch.no_grad():
        residual.low[1] = torch.tensor([1.0, 2.0])
        residual.up.copy_(torch.tensor([[1.0, 0.0, 0.0], [0.0, 10.0, 0.0]]))
    assert residual(torch.tensor([1])).tolist() == [[3.0 + 1, 4.0 + 20, 5.0]]


def test_a_trained_residual_comes_back_from_its_weights(bert_folder, tmp_path):
    encoder = made(bert_folder, gdes="full")
    with torch.no_grad():
        residuals_in(encoder)[0].residual.add_(0.5)
    encoder.save_assets(tmp_path)
    again = made(bert_folder, gdes="full", assets=tmp_path)
    again.load_state_dict(encoder.state_dict())
    batch = batch_of(encoder)
    with torch.no_grad():
        assert torch.equal(again.eval()(batch).values, encoder.eval()(batch).values)


@pytest.mark.parametrize("gdes", [0, 16, 99, "half", True])
def test_no_such_residual(bert_folder, as_in_use, gdes):
    with pytest.raises(InputError, match=rf"encoder\.text\.gdes={gdes}: expected none, full"):
        made(bert_folder, gdes=gdes)


@pytest.mark.parametrize("trainable", ["none", 2])
def test_a_residual_of_embeddings_that_are_not_trained_is_refused(bert_folder, trainable):
    with pytest.raises(InputError, match=r"gdes=full.*encoder\.text\.trainable=all"):
        made(bert_folder, gdes="full", trainable=trainable)
