"""Classes by their dotted path, and what is made of them."""

from argparse import Namespace
from fractions import Fraction

import pytest
import torch

from sermm.configuration.component import Component
from sermm.core.errors import InputError

HALF = {"_target_": "fractions.Fraction", "numerator": 1, "denominator": 2}


def test_what_is_inside_is_made_too_and_nothing_is_looked_up():
    found = {"_target_": "argparse.Namespace", "a": {"b": HALF}, "c": [HALF, "${not.there}"]}
    made = Component.of(found).make()
    assert made == Namespace(a={"b": Fraction(1, 2)}, c=[Fraction(1, 2), "${not.there}"])


def test_lists_are_its_own_each_time():
    component = Component.of({"_target_": "argparse.Namespace", "listed": [1]})
    component.make().listed.append(2)
    assert component.make().listed == [1]


def test_what_is_partial_waits_for_the_rest():
    adam = Component.of({"_target_": "torch.optim.Adam", "_partial_": True, "lr": 0.5})
    weights = [torch.nn.Parameter(torch.zeros(1))]
    assert adam.make()(weights).defaults["lr"] == 0.5
    assert adam.make(params=weights, lr=0.25).defaults["lr"] == 0.25


def test_an_argument_that_is_missing_is_named():
    with pytest.raises(InputError, match=r"Adam\(\): missing a required argument: 'params'"):
        Component.of({"_target_": "torch.optim.Adam"}).make()
