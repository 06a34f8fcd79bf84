import pytest
import torch

from sermm.core.ragged import Ragged


def ragged() -> Ragged:
    return Ragged.pack([torch.tensor([[1.0], [3.0]]), torch.empty(0, 1), torch.tensor([[5.0]])])


def test_pack_lays_sequences_end_to_end():
    r = ragged()
    assert r.values.flatten().tolist() == [1.0, 3.0, 5.0]
    assert r.sizes == [2, 0, 1]
    assert r.segments.tolist() == [0, 0, 2]
    assert len(r) == 3


def test_mean_and_max_by_sequence_are_zero_where_empty():
    assert ragged().mean().flatten().tolist() == [2.0, 0.0, 5.0]
    assert ragged().max().flatten().tolist() == [3.0, 0.0, 5.0]


def test_softmax_sums_to_one_in_each_sequence():
    soft = ragged().softmax().values.flatten()
    assert soft[:2].sum().item() == pytest.approx(1.0)
    assert soft[1].item() == pytest.approx(0.8807970)  # e^3 / (e^1 + e^3)
    assert soft[2].item() == 1.0


def test_padded_and_back():
    values, real = ragged().padded()
    assert values.squeeze(-1).tolist() == [[1.0, 3.0], [0.0, 0.0], [5.0, 0.0]]
    assert real.tolist() == [[True, True], [False, False], [True, False]]
    assert ragged().from_padded(values * 2).values.flatten().tolist() == [2.0, 6.0, 10.0]


def test_padded_of_nothing_but_empty_sequences_has_one_masked_column():
    values, real = Ragged(torch.empty(0, 4), torch.tensor([0, 0])).padded()
    assert values.shape == (2, 1, 4)
    assert not real.any()


def test_padded_passes_gradients_to_real_positions_only():
    values = torch.ones(3, 1, requires_grad=True)
    padded, _ = Ragged(values, torch.tensor([1, 2])).padded()
    (padded * torch.tensor([[[1.0], [10.0]], [[2.0], [3.0]]])).sum().backward()
    assert values.grad.flatten().tolist() == [1.0, 2.0, 3.0]


def test_repeat_gives_each_position_the_row_of_its_sequence():
    assert ragged().repeat(torch.tensor([[1], [2], [3]])).flatten().tolist() == [1, 1, 3]


@pytest.mark.parametrize(
    ("lengths", "says"),
    [
        (torch.tensor([1, 1]), "sum to 2"),
        (torch.tensor([-1, 4]), "negative"),
        (torch.tensor([3], dtype=torch.int32), "int64"),
    ],
)
def test_wrong_lengths_are_refused(lengths, says):
    with pytest.raises(ValueError, match=says):
        Ragged(torch.zeros(3), lengths)


def test_other_values_must_be_as_many():
    with pytest.raises(ValueError, match="sum to 3"):
        ragged().with_values(torch.zeros(2, 1))
