import pytest

from sermm.core.errors import InputError
from sermm.engine.training.schedule import schedule


def test_linear_rises_over_the_warm_up_and_falls_to_zero():
    factor = schedule("linear", 0.2, 10)
    assert [factor(step) for step in (0, 1, 2, 6, 10)] == [0.5, 1.0, 1.0, 0.5, 0.0]


def test_cosine_is_half_way_down_in_the_middle():
    factor = schedule("cosine", 0.0, 10)
    assert factor(0) == 1.0
    assert factor(5) == pytest.approx(0.5)
    assert factor(10) == pytest.approx(0.0)


def test_constant_stays():
    assert {schedule("constant", 0.0, 10)(step) for step in range(12)} == {1.0}


@pytest.mark.parametrize(
    ("shape", "warmup"), [("triangle", 0.0), ("linear", 1.0), ("linear", -0.1)]
)
def test_wrong_options_are_named(shape, warmup):
    with pytest.raises(InputError, match=r"model\.learning\."):
        schedule(shape, warmup, 10)
