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


DTYPES = [torch.float32, torch.float16, torch.bfloat16]


def naive(values, weights, statistics):
    """Equation (1) without LN, in float64; the gradient of the weights by autograd."""
    weights = weights.double().requires_grad_()
    states = values.double()
    if statistics is not None:
        mean, deviation = (one.double() for one in statistics)
        states = (states - mean) / deviation
    return torch.einsum("nld,l->nd", states, weights / weights.sum()), weights


def close(found, expected, rtol=1e-5):
    """Within 1e-5 of the largest value: single values may cancel."""
    expected = expected.float()
    torch.testing.assert_close(found, expected, rtol=0, atol=rtol * float(expected.abs().max()))


def statistics_of(values, normalised):
    if not normalised:
        return None
    return values.double().mean(0).float(), values.double().std(0).float()


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("layers", [2, 5])
@pytest.mark.parametrize("normalised", [False, True])
@pytest.mark.parametrize("live", [False, True])
def test_the_mix_and_its_gradient_are_those_of_the_naive_expression(
    dtype, layers, normalised, live
):
    rng = torch.Generator().manual_seed(layers)
    # More positions than are mixed at a time, and a mean that matters.
    values = (torch.randn(2500, layers, 8, generator=rng) * 2 + 3).to(dtype)
    statistics = statistics_of(values, normalised)
    weights = torch.rand(layers, generator=rng) + 0.2
    target = torch.randn(2500, 8, generator=rng)
    expected, weights64 = naive(values, weights, statistics)
    (expected * target).sum().backward()
    mix = LayerMix(layers, 8, norm=False)
    mix.weight.data = weights.clone()
    hidden = values.detach().requires_grad_() if live else values
    found = mix(Ragged(hidden, torch.tensor([1500, 0, 1000])), *(statistics or ()))
    (found.values * target).sum().backward()
    assert found.sizes == [1500, 0, 1000]
    assert found.values.dtype == torch.float32
    close(found.values.detach(), expected.detach())
    close(mix.weight.grad, weights64.grad)


@pytest.mark.parametrize("dtype", DTYPES)
def test_live_states_get_their_gradient_in_their_own_type(dtype):
    mix = LayerMix(2, 1, norm=False)
    mix.weight.data = torch.tensor([1.0, 3.0])
    hidden = torch.ones(1, 2, 1, dtype=dtype, requires_grad=True)
    mean, deviation = torch.zeros(2, 1), torch.tensor([[1.0], [3.0]])
    mix(Ragged(hidden, torch.tensor([1])), mean, deviation).values.sum().backward()
    assert hidden.grad.dtype == dtype
    assert hidden.grad.flatten().tolist() == [0.25, 0.25]


@pytest.mark.parametrize("dtype", DTYPES)
def test_one_layer_is_normalised_too(dtype):
    hidden = Ragged(torch.tensor([[[2.0, 8.0]]], dtype=dtype), torch.tensor([0, 1]))
    mean, deviation = torch.tensor([[1.0, 2.0]]), torch.tensor([[2.0, 3.0]])
    found = LayerMix(1, 2, norm=False)(hidden, mean, deviation).values
    assert found.tolist() == [[0.5, 2.0]]


def test_weights_that_cancel_give_finite_normalised_states_and_gradients():
    mix, hidden = LayerMix(2, 5, norm=False), ragged(6, 2, 5)
    mix.weight.data = torch.tensor([1.0, -1.0 - 1e-6])
    found = mix(hidden, torch.ones(2, 5), torch.full((2, 5), 2.0)).values
    found.sum().backward()
    assert found.isfinite().all()
    assert mix.weight.grad.isfinite().all()


def test_a_mean_far_from_zero_leaves_the_digits():
    mix = LayerMix(2, 1, norm=False)
    hidden = Ragged(torch.tensor([[[1001.0], [501.0]], [[999.0], [499.5]]]), torch.tensor([2]))
    mean, deviation = torch.tensor([[1000.0], [500.0]]), torch.tensor([[0.3], [0.7]])
    expected = [(1 / 0.3 + 1 / 0.7) / 2, (-1 / 0.3 - 0.5 / 0.7) / 2]
    found = mix(hidden, mean, deviation).values.flatten()
    np.testing.assert_allclose(found.detach(), expected, rtol=1e-3)


@pytest.mark.parametrize("dtype", DTYPES)
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


@pytest.mark.parametrize("statistics", [(), (torch.ones(5, 8), torch.ones(5, 8))])
def test_no_positions_at_all(statistics):
    mix = LayerMix(5, 8)
    empty = Ragged(torch.zeros(0, 5, 8, dtype=torch.float16), torch.tensor([0, 0]))
    found = mix(empty, *statistics).values
    assert found.shape == (0, 8)
    found.sum().backward()
    assert (mix.weight.grad == 0).all()
