import pytest

from sermm.core.errors import InputError
from sermm.sweeps.combinations import wish

GOOD = {"name": "both", "parts": ["coattention", "late_fusion"]}


def test_a_wish_is_a_name_and_models():
    assert wish({"combine": None}) is None
    assert wish({"combine": GOOD}) == ("both", ["coattention", "late_fusion"])


@pytest.mark.parametrize(
    "asked",
    [
        "coattention",
        {"name": "both"},
        {**GOOD, "parts": ["a"]},
        {**GOOD, "parts": ["a", "a"]},
        {**GOOD, "weights": [1, 2]},
    ],
)
def test_another_form_is_refused(asked):
    with pytest.raises(InputError, match="expected a name and two or more models"):
        wish({"combine": asked})
