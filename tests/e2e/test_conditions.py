"""`sermm evaluate condition=...`: a trained run under noise, in a narrow band, on ASR text."""

import csv
import json
from pathlib import Path

import pytest

from sermm.cli.main import main
from sermm.configuration.verbs import RunConfig
from sermm.engine.inputs.corpus import load
from sermm.engine.inputs.texts import transcript_store


@pytest.fixture(scope="module")
def folders(save_encoders, tmp_path_factory):
    return save_encoders(tmp_path_factory.mktemp("encoders"))


@pytest.fixture(scope="module")
def study(folders, tones, tmp_path_factory):
    """Two folds of late fusion on stored features."""
    speech, text = folders
    runs = tmp_path_factory.mktemp("runs")
    words = ["data=manifest", f"data.manifest={tones}", "data.name=tones", "protocol=groups5"]
    words += [f"cache_dir={tones.parent / 'cache'}", f"runs_dir={runs}", "hydra/launcher=basic"]
    words += [f"encoder.speech.id={speech}", f"encoder.text.id={text}", "features=cached"]
    words += ["trainer.accelerator=cpu", "trainer.max_epochs=4", "model.learning.lr=0.01"]
    assert main(["train", "-m", *words, "study=heard", "fold=1,2"]) == 0
    return runs / "heard"


@pytest.fixture
def transcripts(tones):
    """Of a recogniser that hears the same word in everything."""
    words = ["data=manifest", f"data.manifest={tones}", "data.name=tones", "protocol=groups5"]
    loaded = load(RunConfig.of([*words, f"cache_dir={tones.parent / 'cache'}"]))
    store = transcript_store(tones.parent / "cache", "deaf")
    store.begin({"model": "deaf", "max_seconds": None}, {"_target_": "sermm.recognisers.x.Deaf"})
    store.add(dict.fromkeys(loaded.digests.values(), "i am gloomy today"))
    store.flush()


def evaluated(capsys, *words):
    capsys.readouterr()
    assert main(["evaluate", *words, "format=json"]) == 0
    return json.loads(capsys.readouterr().out)


def said(record):
    with (Path(record["folder"]) / "predictions.csv").open(newline="") as file:
        return [[row[k] for k in row if k.startswith("p_")] for row in csv.DictReader(file)]


def results(study):
    return {
        one["key"]: one for one in (json.loads(p.read_text()) for p in study.glob("*/result.json"))
    }


def test_clean_is_what_the_run_was_tested_on_and_noise_is_drawn_once(study, capsys):
    run = str(next(study.glob("*/result.json")).parent)
    clean, noisy = evaluated(capsys, run, "condition=[clean,noise:0]")
    own = results(study)[clean["run"]]
    assert clean["metrics"]["test/ua"] == own["metrics"]["test/ua"]
    assert (clean["condition"], noisy["condition"]) == ("clean", "noise:0")
    assert (clean["as_trained"], noisy["as_trained"]) == (True, True)
    assert said(noisy) != said(clean)
    (again,) = evaluated(capsys, run, "condition=noise:0.0")
    assert (again["folder"], said(again)) == (noisy["folder"], said(noisy))
    # Without a condition it is the clean one, in the place where it always was.
    plain = evaluated(capsys, run)
    assert (plain["condition"], plain["folder"]) == ("clean", clean["folder"])


def test_a_study_under_conditions_is_a_table_of_the_report(study, transcripts, capsys):
    words = ["heard:late_fusion", f"runs_dir={study.parent}"]
    asked = "condition=[noise:0,babble:5,band:300,asr:deaf]"
    found = evaluated(capsys, *words, asked)
    assert len(found) == 8
    by_condition = {}
    for one in found:
        by_condition.setdefault(one["condition"], []).append(one["metrics"]["test/ua"])
    clean = [one["metrics"]["test/ua"] for one in results(study).values()]
    # Other words, other answers.
    (as_it_is,) = evaluated(capsys, str(study / found[3]["run"]), "condition=clean")
    assert found[3]["condition"] == "asr:deaf"
    assert said(found[3]) != said(as_it_is)

    assert main(["evaluate", *words, asked]) == 0
    printed = capsys.readouterr().out
    assert "By condition, mean over 2 runs:" in printed
    assert "asr:deaf" in printed

    assert main(["report", "heard", f"runs_dir={study.parent}", "allow_missing=true"]) == 0
    lines = capsys.readouterr().out.splitlines()
    start = lines.index("UA by condition")
    names = ["clean", "noise:0", "babble:5", "band:300", "asr:deaf"]
    assert lines[start + 1].split() == ["model", *names]
    assert lines[start + 2].startswith("late_fusion")
    page = (study / "report/index.html").read_text()
    assert "UA by condition" in page
    assert "### UA by condition" in (study / "report/tables.md").read_text()

    report = ["report", "heard", f"runs_dir={study.parent}", "allow_missing=true", "format=json"]
    assert main(report) == 0
    (table,) = json.loads(capsys.readouterr().out)["tables"]
    records = {one["condition"]: one for one in table["conditions"]}
    assert list(records) == names
    assert records["clean"]["ua_mean"] == pytest.approx(sum(clean) / 2)
    assert records["noise:0"]["ua_mean"] == pytest.approx(sum(by_condition["noise:0"]) / 2)
    assert records["noise:0"]["n_runs"] == 2


def test_other_questions_are_in_no_table_of_conditions(study, capsys):
    run = str(next(study.glob("*/result.json")).parent)
    (other,) = evaluated(capsys, run, "condition=noise:30", "fold=4")
    (part,) = evaluated(capsys, run, "condition=noise:40", "split=val")
    assert (other["as_trained"], part["as_trained"]) == (False, False)
    main(["report", "heard", f"runs_dir={study.parent}", "allow_missing=true"])
    printed = capsys.readouterr().out
    assert "noise:30" not in printed
    assert "noise:40" not in printed


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["condition=fog"], "condition=fog: expected some of clean, human, noise:SNR"),
        (["condition=[noise:10,band:-5]"], "condition=band:-5: expected band: and a frequency"),
        (["condition=[noise:10,asr:nobody]"], "condition=asr:nobody: there are no transcripts by"),
        (["condition=asr:x", "text.source=human"], "and text.source= does too: give one of them"),
    ],
)
def test_what_is_wrong_is_said_before_anything_is_predicted(study, words, message, capsys):
    run = next(study.glob("*/result.json")).parent
    before = sorted(run.glob("evaluations/*"))
    assert main(["evaluate", str(run), *words]) == 2
    told = capsys.readouterr().err
    assert message in told
    assert len(told.splitlines()) == 1
    assert sorted(run.glob("evaluations/*")) == before


def test_several_runs_need_a_condition(study, capsys):
    runs = [str(path.parent) for path in study.glob("*/result.json")]
    assert main(["evaluate", *runs]) == 2
    assert "give one run, or condition= for several" in capsys.readouterr().err
    assert len(evaluated(capsys, *runs, "condition=noise:10")) == 2
