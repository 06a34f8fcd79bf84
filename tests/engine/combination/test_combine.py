import csv
import json

import numpy as np
import pytest

from sermm.configuration.compose import read_yaml
from sermm.core.errors import InputError
from sermm.engine.combination.choice import chosen, matched
from sermm.engine.combination.combine import average, combine
from sermm.engine.combination.parts import Plan, read_part
from sermm.runs.reading.runs import Run, read_study
from sermm.runs.result import Epochs, Parameters, Seconds
from sermm.runs.status import Status

CLASSES = ("ang", "neu", "sad")
LABELS = {"u1": "neu", "u2": "ang", "u3": "sad", "u4": "sad", "v1": "ang"}
# Square roots of the products, u1: .16 .32 .16; so the combination is right where both are wrong.
FIRST = {
    "u1": (0.64, 0.32, 0.04),
    "u2": (0.8, 0.1, 0.1),
    "u3": (0.1, 0.1, 0.8),
    "u4": (0.6, 0.2, 0.2),
    "v1": (0.8, 0.1, 0.1),
}
SECOND = {
    "u4": (0.6, 0.2, 0.2),
    "u3": (0.2, 0.6, 0.2),
    "u2": (0.45, 0.45, 0.1),
    "u1": (0.04, 0.32, 0.64),
    "v1": (0.1, 0.8, 0.1),
}


PUBLISHED = {"source": "a paper", "metric": "ua", "value": 70.0, "protocol": "loso4"}


def write_rows(folder, probabilities, labels=LABELS, transcript="t"):
    with (folder / "predictions.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        names = [f"p_{c}" for c in CLASSES]
        last = ("fold", "group", "dialogue", "talker", "act", "transcript_digest")
        writer.writerow(["utterance_id", "split", "label", "predicted", *names, *last])
        for i, p in probabilities.items():
            predicted = CLASSES[int(np.argmax(p))]
            split = "val" if i.startswith("v") else "test"
            where = (1, "1", f"d{i}", f"t{i}", "scripted", transcript)
            writer.writerow([i, split, labels[i], predicted, *p, *where])


@pytest.fixture
def write(tmp_path, result):
    """Writes a finished run of study `one`, as the engine does."""

    def write(model, probabilities=FIRST, *, study="one", state="finished", **changes):
        own = {
            "system": f"{model}-system", "model": model, "settings": {"model.width": "8"},
            "data": "demo", "classes": list(CLASSES), "n_folds": 1, "floor": model == "majority",
            "split_digest": "s", "parameters": {"total": 10, "trainable": 4},
            "seconds": {"train": 2.5, "total": 3.0}, "notes": [f"note of {model}"],
            "published": [PUBLISHED], "variant": model,
        }  # fmt: skip
        made = result(**{**own, **changes})
        made["key"] = made["key"] or f"{model}-f{made['fold']}-s{made['seed']}"
        folder = tmp_path / study / made["key"]
        folder.mkdir(parents=True)
        (folder / "config.yaml").write_text("fold: 1\n")
        Status(state).write(folder)
        (folder / "result.json").write_text(json.dumps(made))
        write_rows(folder, probabilities)
        return folder

    return write


def plan(*folders, weights=None, name="both"):
    return Plan.checked([read_part(f) for f in folders], weights or [1.0] * len(folders), name)


def predicted(folder):
    with (folder / "predictions.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def test_averaging_log_probabilities_is_averaging_logits():
    logits = np.random.default_rng(0).normal(0, 5, (3, 20, 4))
    weights = np.array([1.0, 2.0, 5.0])

    def softmax(z):
        return np.exp(z) / np.exp(z).sum(-1, keepdims=True)

    expected = softmax((logits[0] + 2 * logits[1] + 5 * logits[2]) / 8)
    np.testing.assert_allclose(average(softmax(logits), weights), expected, rtol=1e-10)


@pytest.mark.parametrize(
    ("parts", "weights", "expected"),
    [
        ([(0.64, 0.32, 0.04), (0.04, 0.32, 0.64)], (1, 1), (0.25, 0.5, 0.25)),
        # Cube roots of .64 x .1, .01 x .8 and .001: .4, .2, .1.
        ([(0.8, 0.1, 0.1), (0.1, 0.8, 0.1)], (2, 1), (4 / 7, 2 / 7, 1 / 7)),
        # Both zeros become the same small number, s: roots of s, s/2, s/2.
        ([(1, 0, 0), (0, 0.5, 0.5)], (1, 1), (2**0.5 - 1, 1 - 0.5**0.5, 1 - 0.5**0.5)),
    ],
)
def test_averages_by_hand(parts, weights, expected):
    found = average(np.array(parts, float)[:, None], np.array(weights, float))
    np.testing.assert_allclose(found, [expected], rtol=1e-12)


def test_a_combination_is_a_run(write, tmp_path):
    both = plan(write("a"), write("b", SECOND))
    result = combine(both, tmp_path / "new")
    folder = tmp_path / "new" / both.key
    rows = predicted(folder)
    assert [row["utterance_id"] for row in rows] == ["u1", "u2", "u3", "u4", "v1"]
    assert [row["predicted"] for row in rows][:4] == ["neu", "ang", "sad", "ang"]
    assert [float(rows[0][f"p_{c}"]) for c in CLASSES] == pytest.approx([0.25, 0.5, 0.25])
    assert (rows[0]["talker"], rows[0]["transcript_digest"]) == ("tu1", "t")
    assert result.metrics["test/ua"] == pytest.approx((1 + 1 + 1 / 2) / 3)
    assert result.metrics["test/wa"] == pytest.approx(3 / 4)
    assert result.metrics["test/recall_sad"] == pytest.approx(1 / 2)
    assert "val/ua" in result.metrics
    assert (result.model, result.study) == ("both", "new")
    assert result.parts == ("a-f1-s1", "b-f1-s1")
    assert result.parameters == Parameters(20, 8)
    assert result.seconds == Seconds(train=5.0, total=6.0)
    assert result.notes[1:] == ("note of a", "note of b")
    assert (result.epochs, result.published) == (Epochs(), ())
    assert not result.floor
    assert read_yaml(folder / "config.yaml")["combine"][1] == {
        "study": "one",
        "key": "b-f1-s1",
        "weight": 1.0,
    }
    (run,) = read_study(tmp_path / "new").runs
    assert isinstance(run, Run)
    assert run.tests["n"].sum() == 4


def test_weights_decide(write, tmp_path):
    a, b = write("a"), write("b", SECOND)
    for weights, said in (([9.0, 1.0], "ang"), ([1.0, 9.0], "sad")):
        heavy = plan(a, b, weights=weights)
        combine(heavy, tmp_path / "new")
        assert predicted(tmp_path / "new" / heavy.key)[0]["predicted"] == said


def test_the_key_knows_parts_weights_and_name_but_no_order_or_scale(write):
    a, b, c = write("a"), write("b", SECOND), write("c")
    same = {plan(a, b).key, plan(b, a).key, plan(a, b, weights=[3.0, 3.0]).key}
    others = {plan(a, c).key, plan(a, b, weights=[2.0, 1.0]).key, plan(a, b, name="x").key}
    assert len(same) == 1
    assert len(same | others) == 4
    assert plan(a, b, weights=[2.0, 1.0]).key == plan(b, a, weights=[1.0, 2.0]).key


def test_folds_of_a_combination_are_one_system(write):
    one = plan(write("a"), write("b"))
    two = plan(write("a", fold=2), write("b", fold=2))
    assert one.system == two.system
    assert one.key != two.key


def test_again_it_is_found_finished_unless_a_part_predicted_anew(write, tmp_path):
    a, b = write("a"), write("b", SECOND)
    first = combine(plan(a, b), tmp_path / "new")
    path = tmp_path / "new" / first.key / "predictions.csv"
    path.write_text("kept")
    assert combine(plan(b, a), tmp_path / "new") == first
    assert path.read_text() == "kept"
    write_rows(a, SECOND)
    with pytest.raises(InputError, match=r"made of other predictions than .*a-f1-s1"):
        combine(plan(a, b), tmp_path / "new")


def test_an_interrupted_combination_is_made_anew(write, tmp_path):
    both = plan(write("a"), write("b"))
    folder = tmp_path / "new" / both.key
    folder.mkdir(parents=True)
    (folder / "status.json").write_text('{"state": "interrupted"}')
    combine(both, tmp_path / "new")
    assert json.loads((folder / "status.json").read_text())["state"] == "finished"


def test_faults_and_sources_of_a_part_are_the_combinations(write, tmp_path):
    clean = write("a", text_source="human", protocol="x_leaky", leaky=True, selection="last")
    other = write("b", text_source="asr:tiny", protocol="x_leaky", leaky=True,
                  selection="test", git={"commit": "def456", "dirty": True})  # fmt: skip
    write_rows(other, SECOND, transcript="heard")
    both = plan(clean, other)
    result = combine(both, tmp_path / "new")
    assert result.leaky
    assert result.selection == "test"
    assert result.text_source == "human + asr:tiny"
    assert result.git.dirty
    assert {row["transcript_digest"] for row in predicted(tmp_path / "new" / both.key)} == {""}


def test_a_combination_can_be_a_part(write, tmp_path):
    a, b, c = write("a"), write("b", SECOND), write("c")
    pair = combine(plan(a, b), tmp_path / "new")
    three = combine(plan(tmp_path / "new" / pair.key, c), tmp_path / "new")
    assert three.parameters.total == 30


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"fold": 2}, "they differ in fold, 1 and 2"),
        ({"seed": 3}, "they differ in seed, 1 and 3"),
        ({"data": "emodb"}, "they differ in data, demo and emodb"),
        ({"protocol": "loso5"}, "they differ in protocol, loso4 and loso5"),
        ({"classes": ["sad", "neu", "ang"]}, "they differ in classes"),
        ({"split_digest": "t"}, r"utterances \(split_digest\), s and t"),
    ],
)
def test_unlike_runs_are_refused(write, changes, says):
    with pytest.raises(InputError, match=rf"cannot combine .*a-f1-s1 .*with .*b-.*{says}"):
        plan(write("a"), write("b", **changes))


def test_other_utterances_are_refused_by_name(write):
    a, b = write("a"), write("b", {i: p for i, p in SECOND.items() if i != "v1"})
    for pair in ((a, b), (b, a)):
        with pytest.raises(InputError, match=r"b-f1-s1 has no prediction for 1 .*a-f1-s1: v1"):
            plan(*pair)
    write_rows(b, SECOND, {**LABELS, "u2": "neu"})
    with pytest.raises(InputError, match=r"u2: its label is ang in .* and neu in"):
        plan(a, b)


def test_impossible_plans_are_refused(write):
    a, b = write("a"), write("b")
    with pytest.raises(InputError, match="two or more different runs"):
        plan(a)
    with pytest.raises(InputError, match="two or more different runs"):
        plan(a, a)
    for weights in ([1.0], [1.0, 0.0], [1.0, -1.0], [1.0, float("nan")]):
        with pytest.raises(InputError, match="2 numbers above 0"):
            plan(a, b, weights=weights)
    for name in ("", "two words", "majority", "caf"):
        with pytest.raises(InputError, match="cannot name a combination"):
            plan(a, b, name=name)


def test_broken_parts_are_refused(write, tmp_path):
    with pytest.raises(InputError, match="is failed, not finished"):
        read_part(write("a", state="failed"))
    with pytest.raises(InputError, match="no column p_hap"):
        read_part(write("b", classes=[*CLASSES, "hap"]))
    with pytest.raises(InputError, match="it has 0 test rows, the test part 4"):
        read_part(write("c", {"v1": (1, 0, 0)}))
    twice = write("d")
    text = (twice / "predictions.csv").read_text()
    (twice / "predictions.csv").write_text(text + text.splitlines()[1] + "\n")
    with pytest.raises(InputError, match="it names u1 twice"):
        read_part(twice)
    strange = write("e", {**SECOND, "u4": ("nan", 0.5, 0.5)})
    with pytest.raises(
        InputError,
        match=r"e-f1-s1/predictions.csv is damaged: the probabilities of utterance u4 are",
    ):
        combine(plan(write("f"), strange), tmp_path / "new")
    assert not (tmp_path / "new").exists()


def test_words_name_runs_studies_and_systems(write, tmp_path):
    a, b = write("a"), write("b")
    write("majority", study="two")
    c = write("c", study="two")
    assert set(chosen(str(a), tmp_path).folders) == {a}
    assert set(chosen("one/a-f1-s1", tmp_path).folders) == {a}
    assert set(chosen("b-f1", tmp_path).folders) == {b}
    assert set(chosen("one:b", tmp_path).folders) == {b}
    assert set(chosen("two", tmp_path).folders) == {c}
    assert set(chosen("two:majority", tmp_path).folders) == {tmp_path / "two" / "majority-f1-s1"}
    with pytest.raises(InputError, match="the study has 2 systems, expected one: 'a', 'b'"):
        chosen("one", tmp_path)
    with pytest.raises(InputError, match=r"no system 'd' in study .*'c', 'majority'"):
        chosen("two:d", tmp_path)
    with pytest.raises(InputError, match=r"'three' is no study in .*no run 'three'"):
        chosen("three", tmp_path)
    with pytest.raises(InputError, match="no study 'three'"):
        chosen("three:a", tmp_path)


def test_a_row_is_named_as_the_report_prints_it(write, tmp_path):
    narrow = write("a", settings={"model.width": "4"}, system="s4", key="k4")
    write("a", settings={"model.width": "8"}, system="s8", key="k8")
    assert set(chosen("one:a model.width=4", tmp_path).folders) == {narrow}
    with pytest.raises(
        InputError, match=r"a has 2 systems, .*'a model.width=4', 'a model.width=8'"
    ):
        chosen("one:a", tmp_path)


def test_partners_share_corpus_protocol_seed_and_fold(write, tmp_path):
    mine = [write("a", fold=fold) for fold in (1, 2, 3)]
    theirs = [write("b", study="two", fold=fold) for fold in (2, 1)]
    write("b", study="two", fold=3, protocol="loso5")
    groups, lonely = matched([chosen("one", tmp_path), chosen("two", tmp_path)])
    assert groups == [(mine[0], theirs[1]), (mine[1], theirs[0])]
    assert [problem.where for problem in lonely] == [
        str(mine[2]),
        str(tmp_path / "two" / "b-f3-s1"),
    ]
    assert lonely[0].what == (
        "a on demo, loso4, fold 3, seed 1: no finished run of two to combine it with"
    )


def test_a_trial_of_a_search_is_no_part(tmp_path, write):
    folder = write("cmgi", withheld=True)
    with pytest.raises(InputError, match="its test part is never looked at"):
        read_part(folder)
    with pytest.raises(InputError, match="cannot combine one:cmgi"):
        chosen("one:cmgi", tmp_path)
