import pytest

from sermm.configuration.conditions import Condition, conditions, in_order, label
from sermm.core.errors import InputError


def words(given):
    return [one.word for one in conditions(given)]


def test_conditions_are_read_and_named_alike_however_numbers_are_typed():
    assert words("noise:10") == words("[noise:10.0]") == ["noise:10"]
    asked = "[clean, human,noise:-2.5,babble:0,band:3400,asr:sphinx.2]"
    assert words(asked) == ["clean", "human", "noise:-2.5", "babble:0", "band:3400", "asr:sphinx.2"]
    assert words(None) == ["clean"]


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (
            "fog",
            "condition=fog: expected some of clean, human, noise:SNR, babble:SNR, band:HZ, asr",
        ),
        ("[clean,,noise:1]", "condition=: expected some of clean"),
        ("noise", "condition=noise: expected some of"),
        ("asr:", "condition=asr:: expected some of"),
        ("clean:1", "condition=clean:1: expected some of"),
        ("noise:loud", "condition=noise:loud: expected noise: and an SNR in dB from -20 to 100"),
        ("noise:nan", "condition=noise:nan: expected noise: and an SNR"),
        ("babble:101", "condition=babble:101: expected babble: and an SNR"),
        ("band:-3", "condition=band:-3: expected band: and a frequency in Hz from 100 to 7999"),
        ("band:8000", "condition=band:8000: expected band:"),
        (
            "[noise:5,clean,noise:5.0]",
            r"condition=\[noise:5,clean,noise:5.0\]: noise:5 is there tw",
        ),
    ],
)
def test_what_is_no_condition_is_refused_with_what_there_is(given, message):
    with pytest.raises(InputError, match=message) as refused:
        conditions(given)
    assert "\n" not in str(refused.value)


def test_clean_comes_first_and_the_hardest_last_of_its_kind():
    given = ["asr:b", "band:4000", "noise:0", "later:3", "noise:20+asr:b", "clean", "noise:20"]
    assert in_order(given) == [
        *("clean", "noise:20", "noise:0", "band:4000", "asr:b", "later:3", "noise:20+asr:b")
    ]


def test_texts_that_are_not_the_runs_are_part_of_the_name():
    noise = Condition.of("noise:10")
    assert label(noise, "human", "human") == "noise:10"
    assert label(noise, "asr:b", "human") == "noise:10+asr:b"
    assert label(Condition(), "asr:b", "human") == "asr:b"
    assert label(Condition.of("asr:b"), "asr:b", "asr:b") == "asr:b"
