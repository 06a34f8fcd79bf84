"""Which epoch a run is scored with, and what is recorded of the one that validation chose."""

import csv
import json

import numpy as np
import pytest
import soundfile
import torch

from sermm.cli.main import main
from sermm.engine import run as runs
from sermm.engine.assembly.checkpoints import read_checkpoint

LAST = "trainer.test_epoch=last"
WORDS = ["one", "two", "three", "four", "five", "six"]


def text_of(rng, label):
    """Four words of which about half tell the label."""
    told = rng.random(4) < 0.5
    return " ".join(WORDS[label] if t else str(rng.choice(WORDS)) for t in told)


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    return tmp_path_factory.mktemp("scoring")


@pytest.fixture(scope="module")
def words(root):
    """Forty texts by five talkers whose words tell a little, so that epochs differ."""
    rng = np.random.default_rng(0)
    with (root / "noise.csv").open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["path", "label", "speaker", "text"])
        for talker in range(5):
            for number, label in enumerate(("ang", "hap", "neu", "sad") * 2):
                name = f"{talker}{number}.wav"
                clip = 0.1 * rng.standard_normal(int(rng.integers(1600, 6400)))
                soundfile.write(root / name, clip.astype("float32"), 16000)
                rows.writerow([name, label, f"t{talker}", text_of(rng, number % 4)])
    return [
        *("train", "data=manifest", f"data.manifest={root / 'noise.csv'}", "data.name=noise"),
        *("protocol=groups5", "model=text_only", "encoder/text=tiny", "encoder.text.depth=1"),
        *("encoder.text.width=16", "model.learning.lr=0.01", "trainer.accelerator=cpu"),
        *("model.learning.schedule=constant", "model.learning.warmup=0"),
        *("trainer.max_epochs=4", "trainer.patience=null", "trainer.batch_size=5", "seed=2"),
        *(f"runs_dir={root / 'runs'}", f"cache_dir={root / 'cache'}", "hydra/launcher=basic"),
    ]


@pytest.fixture(scope="module")
def run(root, words):
    """Trains a run of a study; gives its folder and result."""

    def trained(study, *more):
        assert main([*words, *more, f"study={study}"]) == 0
        (path,) = (root / "runs" / study).glob("*/result.json")
        return path.parent, json.loads(path.read_text())

    return trained


@pytest.fixture(scope="module")
def last(run):
    """A run of four epochs that is scored with the last."""
    return run("last", LAST)


def test_the_last_epoch_is_scored_and_the_chosen_one_recorded_beside_it(run, last):
    _, best = run("best")
    folder, found = last
    chosen = best["epochs"]["best"]
    assert chosen < 4
    assert (best["selection"], found["selection"]) == ("val", "last")
    assert found["epochs"] == {"best": 4, "last": 4}
    assert "other_epoch" not in best
    assert found["other_epoch"] == {"epoch": chosen, "selection": "val", "metrics": best["metrics"]}
    assert found["metrics"] != best["metrics"]
    assert {path.name for path in (folder / "checkpoints").iterdir()} == {"best.ckpt"}


def test_the_weights_that_are_kept_are_those_that_were_scored(last, capsys):
    folder, found = last
    assert main(["evaluate", str(folder), "trainer.accelerator=cpu", "format=json"]) == 0
    metrics = json.loads(capsys.readouterr().out)["metrics"]
    assert metrics == {k: v for k, v in found["metrics"].items() if k.startswith("test/")}
    assert metrics.items() - found["other_epoch"]["metrics"].items()


def test_where_both_are_one_epoch_it_says_so(run):
    _, found = run("one", LAST, "trainer.max_epochs=1")
    assert found["other_epoch"] == {"epoch": 1, "selection": "val", "metrics": found["metrics"]}


def test_without_validation_there_is_no_other(run):
    _, found = run("no", LAST, "trainer.max_epochs=1", "protocol/validation_rule=none")
    assert found["selection"] == "last"
    assert "other_epoch" not in found


def stopped(*_args, **_options):
    raise KeyboardInterrupt


@pytest.fixture
def third(stopped_in):
    """Training is stopped in its third epoch, until this is undone."""
    with stopped_in(3) as patched:
        yield patched


def same(one, other):
    for key in ("metrics", "other_epoch", "epochs", "selection"):
        assert one[key] == other[key]


def same_weights(one, other):
    weights = read_checkpoint(other / "checkpoints/best.ckpt")
    for name, value in read_checkpoint(one / "checkpoints/best.ckpt").items():
        assert torch.equal(value, weights[name])


def test_stopped_in_an_epoch_it_comes_to_the_same(run, words, last, third):
    assert main([*words, LAST, "study=again"]) == 130
    third.undo()
    folder, found = run("again", LAST)
    same(found, last[1])
    same_weights(folder, last[0])


@pytest.mark.parametrize("test_epoch", ["best", "last"])
def test_stopped_when_patience_had_run_out_it_trains_no_more(run, words, test_epoch, monkeypatch):
    """Of one more epoch the last would be another, and perhaps the best one too."""
    more = ["trainer.patience=1", "trainer.max_epochs=9", f"trainer.test_epoch={test_epoch}"]
    folder, whole = run(f"whole_{test_epoch}", *more)
    assert whole["epochs"]["last"] < 9
    with monkeypatch.context() as patched:
        patched.setattr(runs, "record", stopped)
        assert main([*words, *more, f"study=early_{test_epoch}"]) == 130
    found = run(f"early_{test_epoch}", *more)
    assert found[1]["epochs"] == whole["epochs"]
    assert found[1]["metrics"] == whole["metrics"]
    same_weights(found[0], folder)


def test_a_run_whose_other_weights_are_gone_starts_anew(run, words, root, last, third, capsys):
    assert main([*words, LAST, "study=gone"]) == 130
    third.undo()
    (other,) = (root / "runs/gone").glob("*/checkpoints/other.ckpt")
    other.unlink()
    capsys.readouterr()
    _, found = run("gone", LAST)
    assert "other.ckpt; the run starts anew" in capsys.readouterr().err
    same(found, last[1])


def test_the_epoch_is_not_chosen_on_the_test_part_and_the_last(words, capsys):
    assert main([*words, LAST, "select_on_test=true"]) == 2
    assert "trainer.test_epoch=last takes the last one" in capsys.readouterr().err


def test_random_batches_are_resumed_too(run, words, third, root):
    more = ["trainer.batching=random", "trainer.max_epochs=3"]
    assert main([*words, *more, "study=r_again"]) == 130
    third.undo()
    folder, _ = run("r_whole", *more)
    again, _ = run("r_again", *more)
    similar, _ = run("similar", "trainer.max_epochs=3")
    for name in ("predictions.csv", "metrics.csv"):
        assert (again / name).read_text() == (folder / name).read_text()
        assert (similar / name).read_text() != (folder / name).read_text()


def test_random_batches_have_a_size(words, capsys):
    more = ["trainer.batching=random", "trainer.batch_size=null", "trainer.batch_seconds=20"]
    assert main([*words, *more, "study=refused"]) == 2
    assert "set trainer.batch_size and trainer.batch_seconds=null" in capsys.readouterr().err
