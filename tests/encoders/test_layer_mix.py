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


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16])
@pytest.mark.parametrize("layer_first", [False, True])
def test_stored_states_give_the_sum_and_the_gradient_of_live_ones(dtype, layer_first):
    rng = torch.Generator().manual_seed(0)
    values = torch.randn(150, 5, 8, generator=rng).to(dtype)
    if layer_first:
        values = values.transpose(0, 1).contiguous().transpose(0, 1)
    weights, gradients, outputs = torch.randn(5, generator=rng), [], []
    for live in (False, True):
        mix = LayerMix(5, 8)
        mix.weight.data = weights.clone()
        hidden = values.float().requires_grad_() if live else values
        found = mix(Ragged(hidden, torch.tensor([100, 0, 50]))).values
        (found * torch.linspace(-1, 1, 8)).square().sum().backward()
        gradients.append(mix.weight.grad)
        outputs.append(found)
    torch.testing.assert_close(outputs[0], outputs[1], rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(gradients[0], gradients[1], rtol=1e-4, atol=1e-4)


def test_no_positions_at_all():
    mix = LayerMix(5, 8)
    found = mix(Ragged(torch.zeros(0, 5, 8, dtype=torch.float16), torch.tensor([0, 0]))).values
    assert found.shape == (0, 8)
    found.sum().backward()
    assert (mix.weight.grad == 0).all()
