"""Equation (1) of Zhao 2022, restated in numpy."""

import numpy as np
import pytest
import torch

from sermm.core.ragged import Ragged
from sermm.encoders.layer_mix import LayerMix


def ragged(*shape):
    values = torch.randn(*shape, generator=torch.Generator().manual_seed(0))
    return Ragged(values, torch.tensor([shape[0] - 2, 0, 2]))


def layer_norm(x, epsilon=1e-5):
    centred = x - x.mean(-1, keepdims=True)
    return centred / np.sqrt((centred**2).mean(-1, keepdims=True) + epsilon)


def test_equation_1():
    mix, hidden = LayerMix(3, 5), ragged(7, 3, 5)
    mix.weight.data = torch.tensor([0.5, -1.0, 2.0])
    u = np.tensordot(hidden.values.numpy(), [0.5, -1.0, 2.0], axes=(1, 0)) / 1.5
    found = mix(hidden)
    np.testing.assert_allclose(found.values.detach().numpy(), layer_norm(u), atol=1e-5)
    assert found.sizes == hidden.sizes


def test_starts_as_the_plain_mean_of_the_layers():
    mix, hidden = LayerMix(4, 5, norm=False), ragged(6, 4, 5)
    torch.testing.assert_close(mix(hidden).values, hidden.values.mean(1))


def test_one_layer_has_no_weight_to_learn():
    mix, hidden = LayerMix(1, 5, norm=False), ragged(6, 1, 5)
    assert not list(mix.parameters())
    torch.testing.assert_close(mix(hidden).values, hidden.values[:, 0])


@pytest.mark.parametrize("weights", [(1.0, -1.0), (1.0, -1.0 + 1e-6), (1.0, -1.0 - 1e-6)])
def test_weights_that_cancel_give_finite_states_and_gradients(weights):
    mix = LayerMix(2, 5, norm=False)
    mix.weight.data = torch.tensor(weights)
    found = mix(ragged(6, 2, 5)).values
    found.sum().backward()
    assert found.isfinite().all()
    assert mix.weight.grad.isfinite().all()


def test_the_sign_of_a_negative_sum_is_kept():
    mix, hidden = LayerMix(2, 5, norm=False), ragged(6, 2, 5)
    mix.weight.data = torch.tensor([-1.0, -3.0])
    expected = 0.25 * hidden.values[:, 0] + 0.75 * hidden.values[:, 1]
    torch.testing.assert_close(mix(hidden).values, expected)
