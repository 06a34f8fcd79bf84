"""The scale of logits: what it is fitted to, and what it is good for."""

import json

import numpy as np
import pytest

from sermm.core.errors import InputError
from sermm.engine.combination.combine import combine
from sermm.engine.combination.logits import COLDEST, HOTTEST, average, temperature
from sermm.engine.combination.parts import Plan, read_part
from sermm.engine.combination.validation import on_validation, warning

CLASSES = ("ang", "hap", "neu", "sad")


def softmax(z):
    odds = np.exp(z - z.max(-1, keepdims=True))
    return odds / odds.sum(-1, keepdims=True)


def drawn(rng, n, right):
    """Logits of a system that is right in a share of cases and says how sure it may be."""
    labels = rng.integers(0, 4, n)
    said = np.where(rng.random(n) < right, labels, (labels + rng.integers(1, 4, n)) % 4)
    logits = np.zeros((n, 4))
    logits[np.arange(n), said] = np.log(right / (1 - right) * 3)
    return logits + rng.normal(0, 0.1, logits.shape), labels


@pytest.mark.parametrize("scale", [0.25, 1.0, 8.0])
def test_the_temperature_is_the_scale_that_logits_have_too_much_of(scale):
    logits, labels = drawn(np.random.default_rng(0), 4000, 0.7)
    found = temperature(softmax(scale * logits), labels)
    assert found == pytest.approx(scale, rel=0.08)
    # A minimum of the negative log-likelihood, on both sides of it.
    nll = [
        -np.log(softmax(scale * logits / t)[np.arange(4000), labels]).mean()
        for t in (found * 0.95, found, found * 1.05)
    ]
    assert nll[1] < min(nll[0], nll[2])


def test_a_system_that_is_always_right_or_knows_nothing_gets_the_ends():
    labels = np.array([0, 1, 2, 3])
    right = softmax(2.0 * np.eye(4))
    assert temperature(right, labels) == COLDEST
    assert temperature(right, labels[::-1].copy()) == HOTTEST
    assert temperature(np.full((4, 4), 0.25), labels) == HOTTEST


def test_temperatures_divide_the_logits():
    logits = np.random.default_rng(1).normal(0, 2, (2, 5, 4))
    expected = softmax((logits[0] / 4 + 3 * logits[1] / 0.5) / 4)
    found = average(softmax(logits), np.array([1.0, 3.0]), np.array([4.0, 0.5]))
    np.testing.assert_allclose(found, expected, rtol=1e-10)


@pytest.fixture
def unlike(tmp_path, a_run):
    """Speech that is right in 70 % of cases and modest, text in 45 % and sure of all it says."""
    rng = np.random.default_rng(3)
    labels = rng.integers(0, 4, 1200)

    def write(model, right, scale, splits=("val", "test")):
        said = np.where(rng.random(1200) < right, labels, (labels + rng.integers(1, 4, 1200)) % 4)
        logits = np.zeros((1200, 4))
        logits[np.arange(1200), said] = scale
        p = softmax(logits)
        rows = [
            {
                "utterance_id": f"u{i:04d}", "split": splits[i % len(splits)],
                "label": CLASSES[labels[i]], "predicted": CLASSES[said[i]],
                **{f"p_{c}": repr(float(x)) for c, x in zip(CLASSES, p[i], strict=True)},
                "fold": 1, "group": "1", "dialogue": f"d{i}", "talker": "t", "act": "",
                "transcript_digest": "",
            }
            for i in range(1200)
        ]  # fmt: skip
        tests = sum(row["split"] == "test" for row in rows)
        folder = a_run(
            tmp_path / "s", model, None, rows=rows, classes=list(CLASSES), n_folds=1,
            counts={"train": 9, "val": 9, "test": tests},
        )  # fmt: skip
        path = folder / "predictions.csv"
        # the fixture puts a row of its own first
        lines = path.read_text().splitlines()
        path.write_text("\n".join([lines[0], *lines[2:]]) + "\n")
        return folder

    return write


def test_calibrated_logits_are_not_outvoted(unlike, tmp_path):
    parts = [read_part(f) for f in (unlike("speech", 0.7, 1.8), unlike("text", 0.45, 20.0))]
    raw = Plan.checked(parts, [1.0, 1.0], "both")
    calibrated = Plan.checked(parts, [1.0, 1.0], "both", "calibrated")
    speech, text = (np.mean([r["label"] == r["predicted"] for r in p.rows.values()]) for p in parts)
    assert speech > text + 0.15
    made = {plan.scale: combine(plan, tmp_path / "new") for plan in (raw, calibrated)}
    assert made["raw"].test_ua < speech - 0.15
    assert made["calibrated"].test_ua > speech - 0.02
    assert made["raw"].key != made["calibrated"].key
    assert made["raw"].temperatures is None
    own, other = made["calibrated"].temperatures
    assert own < 3 < other
    assert made["calibrated"].settings["scale"] == "calibrated"
    written = json.loads((tmp_path / "new" / made["calibrated"].key / "result.json").read_text())
    assert written["temperatures"] == [own, other]


def test_what_both_scales_come_to_is_known_without_the_test_part(unlike):
    parts = [read_part(f) for f in (unlike("speech", 0.7, 1.8), unlike("text", 0.45, 20.0))]
    raw, calibrated = (Plan.checked(parts, [1.0, 1.0], "b", s) for s in ("raw", "calibrated"))
    found = on_validation(raw)
    assert found.scales["calibrated"] > found.scales["raw"] + 0.15
    said = warning(raw, found)
    assert "is below its part speech" in said
    assert "scale=calibrated (" in said
    assert warning(calibrated, found) is None
    assert found == on_validation(calibrated)


def test_without_validation_there_is_nothing_to_calibrate_by(unlike):
    parts = [read_part(unlike(name, 0.7, 2.0, splits=("test",))) for name in ("speech", "text")]
    assert on_validation(Plan.checked(parts, [1.0, 1.0], "b")) is None
    with pytest.raises(InputError, match=r"scale=calibrated .* no validation part.*scale=raw"):
        Plan.checked(parts, [1.0, 1.0], "b", "calibrated")
