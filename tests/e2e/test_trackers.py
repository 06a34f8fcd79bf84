"""Trackers beside the run folder: what they are told, read back from their own files."""

import csv
import json
import os
import shutil
import struct
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pytest
import soundfile
from wandb.proto import wandb_internal_pb2

from sermm.cli.main import main
from sermm.configuration.compose import read_yaml
from sermm.tracking import names as tracked
from sermm.tracking.dashboard import dashboard
from sermm.tracking.names import flat
from sermm.tracking.study import project_of

CLASSES = ["ang", "hap", "neu", "sad"]
BLOCK = 32768
HEADER = 7
LAST_OR_WHOLE = (1, 4)


def records(path):
    """The records of a `.wandb` file: a LevelDB log of protocol buffers behind seven bytes."""
    data, at, held = path.read_bytes(), HEADER, b""
    while at + HEADER <= len(data):
        left = BLOCK - at % BLOCK
        if left < HEADER:
            at += left
            continue
        _, size, kind = struct.unpack("<IHB", data[at : at + HEADER])
        held += data[at + HEADER : at + HEADER + size]
        at += HEADER + size
        if kind in LAST_OR_WHOLE:
            record = wandb_internal_pb2.Record()
            record.ParseFromString(held)
            held = b""
            yield record


class Told:
    """What one offline W&B run was told."""

    def __init__(self, path):
        self.config, self.history, self.summary, self.staged = {}, [], {}, {}
        self.stats, self.exit = 0, None
        for record in records(path):
            match record.WhichOneof("record_type"):
                case "run":
                    self.run = record.run
                    self.config = {
                        i.key: json.loads(i.value_json) for i in record.run.config.update
                    }
                case "history":
                    self.history.append(items(record.history.item))
                case "summary":
                    self.summary |= items(record.summary.update)
                case "stats":
                    self.stats += 1
                case "artifact":
                    contents = record.artifact.manifest.contents
                    self.staged |= {c.path: Path(c.local_path) for c in contents}
                case "exit":
                    self.exit = record.exit.exit_code


def items(found):
    return {i.key or "/".join(i.nested_key): json.loads(i.value_json) for i in found}


def told(folder):
    """The one offline run of a folder, as soon as W&B has written it to its end."""
    (path,) = folder.glob("wandb/offline-run-*/*.wandb")
    limit = time.monotonic() + 60
    while (found := Told(path)).exit is None:
        assert time.monotonic() < limit
        time.sleep(0.05)
    return found


@pytest.fixture(scope="module")
def words(tones, tmp_path_factory):
    return [
        "train",
        "data=manifest",
        f"data.manifest={tones}",
        "data.name=tones",
        "protocol=groups5",
        f"cache_dir={tones.parent / 'cache'}",
        f"runs_dir={tmp_path_factory.mktemp('tracked')}",
        "encoder/text=tiny",
        "trainer.accelerator=cpu",
        "trainer.max_epochs=2",
        "model=text_only",
    ]


@pytest.fixture(scope="module")
def runs(words):
    """Fold 1 told to W&B (study s), to TensorBoard (t) and to nobody (bare); fold 2 with sound."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("WANDB_MODE", "offline")
        of_wandb = [*words, "logger=wandb", "study=s"]
        of_wandb += ["logger.project=p", "logger.entity=me"]
        assert main(of_wandb) == 0
        assert main([*of_wandb, "fold=2", "logger.audio=true"]) == 0
        assert main([*words, "logger=tensorboard", "study=t"]) == 0
        assert main([*words, "study=bare"]) == 0
    return runs_dir(words)


def runs_dir(words):
    return Path(next(w.removeprefix("runs_dir=") for w in words if w.startswith("runs_dir=")))


def folder_of(study, fold=1):
    """The run folder of a fold."""
    results = [(p.parent, json.loads(p.read_text())) for p in study.glob("*/result.json")]
    (folder,) = [folder for folder, result in results if result["fold"] == fold]
    return folder


def result_of(folder):
    return json.loads((folder / "result.json").read_text())


def rows(path):
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def table(folder, name):
    """A table that W&B was told, as columns and rows."""
    (path,) = folder.glob(f"wandb/offline-run-*/files/media/table/{name}_*.table.json")
    found = json.loads(path.read_text())
    return found["columns"], found["data"]


def test_each_fold_is_a_wandb_run_of_its_own(runs):
    for fold in (1, 2):
        folder = folder_of(runs / "s", fold)
        run = told(folder).run
        assert run.run_id == folder.name
        assert run.resume
        assert (run.project, run.run_group) == ("p", "s/text_only/groups5")
        assert run.job_type == f"fold{fold}"
        assert {"tones", "groups5", "text_only", "finetune", "text_human"} == set(run.tags)
    assert told(folder_of(runs / "s")).run.entity == "me"


def test_the_configuration_is_complete_at_once(runs):
    folder = folder_of(runs / "s")
    expected = flat(read_yaml(folder / "config.yaml"))
    assert len(expected) > 100
    config = told(folder).config
    assert {name: config[name] for name in expected} == expected
    assert config["run_key"] == folder.name


def test_history_is_metrics_csv(runs):
    folder = folder_of(runs / "s")
    epochs = rows(folder / "metrics.csv")
    assert [row["epoch"] for row in epochs] == ["1", "2"]
    history = told(folder).history
    assert [row["_step"] for row in history] == [1, 2, 3]
    for row, told_row in zip(epochs, history[:2], strict=True):
        assert {k: v for k, v in told_row.items() if k[0] != "_"} == {
            k: float(v) for k, v in row.items()
        }
        assert set(row) == set(tracked.history(CLASSES))
        recalls = [float(row[f"val/recall_{name}"]) for name in CLASSES]
        assert sum(recalls) / 4 == pytest.approx(float(row["val/ua"]), abs=1e-6)


def test_the_summary_is_the_result(runs):
    folder = folder_of(runs / "s")
    result, found = result_of(folder), told(folder)
    assert {k: found.summary[k] for k in result["metrics"]} == result["metrics"]
    assert set(tracked.summary(CLASSES)) <= set(found.summary)
    assert found.summary["epochs/best"] == result["epochs"]["best"]
    assert found.exit == 0
    assert found.stats > 0


def test_matrices_and_predictions_are_tables(runs):
    folder = folder_of(runs / "s")
    predictions = rows(folder / "predictions.csv")
    for split in ("val", "test"):
        columns, cells = table(folder, f"{split}/confusion_table")
        assert columns == ["Actual", "Predicted", "nPredictions"]
        pairs = Counter((r["label"], r["predicted"]) for r in predictions if r["split"] == split)
        assert {(a, p): n for a, p, n in cells if n} == dict(pairs)
        assert sum(pairs.values()) == 12
    columns, cells = table(folder, "predictions")
    assert columns == ["utterance_id", "split", "label", "predicted", *(f"p_{c}" for c in CLASSES)]
    assert [row[:4] for row in cells] == [[row[n] for n in columns[:4]] for row in predictions]
    assert [row[4] for row in cells] == [float(row["p_ang"]) for row in predictions]


def test_sound_is_told_only_if_asked_for(runs):
    silent, sounding = (folder_of(runs / "s", fold) for fold in (1, 2))
    columns, cells = table(sounding, "predictions")
    assert columns[-1] == "audio"
    assert len(cells) == 24
    sounds = [path for name, path in told(sounding).staged.items() if name.endswith(".wav")]
    assert len(sounds) == 24
    assert {soundfile.info(path).samplerate for path in sounds} == {16000}
    assert not [name for name in told(silent).staged if name.endswith(".wav")]


def test_nothing_of_wandb_lies_outside_the_run_folder(runs):
    folder = folder_of(runs / "s")
    staged = told(folder).staged.values()
    assert len(staged) == 3
    assert all(path.is_relative_to(folder) and path.is_file() for path in staged)


def test_trackers_change_nothing(runs):
    bare = folder_of(runs / "bare")
    for study in ("s", "t"):
        folder = folder_of(runs / study)
        assert folder.name == bare.name
        for name in ("predictions.csv", "metrics.csv"):
            assert (folder / name).read_bytes() == (bare / name).read_bytes()
        assert result_of(folder)["metrics"] == result_of(bare)["metrics"]


def test_tensorboard_has_curves_scores_and_matrices(runs):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    folder = folder_of(runs / "t")
    events = EventAccumulator(str(folder / "tensorboard"))
    events.Reload()
    epochs = rows(folder / "metrics.csv")
    for name in tracked.history(CLASSES):
        assert [e.step for e in events.Scalars(name)] == [1, 2]
        assert [e.value for e in events.Scalars(name)] == [
            pytest.approx(float(row[name])) for row in epochs
        ]
    (ua,) = events.Scalars("result/test/ua")
    assert ua.value == pytest.approx(result_of(folder)["metrics"]["test/ua"])
    for name in ("test/confusion/text_summary", "config/text_summary"):
        assert events.Tensors(name)


@pytest.fixture(scope="module")
def reported(runs):
    """The study's report run, written twice."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("WANDB_MODE", "offline")
        for _ in range(2):
            words = ["report", "s", f"runs_dir={runs}", "allow_missing=true", "wandb=true"]
            assert main(words) == 0
    return runs / "s/report"


def test_a_study_has_one_aggregated_run(runs, reported):
    found = told(reported)
    assert (found.run.run_group, found.run.job_type) == ("s", "report")
    assert (found.run.project, found.run.entity) == ("p", "me")
    assert found.run.run_id.startswith("report-")
    assert found.config["study"] == "s"
    columns, ((*_, one, two),) = table(reported, "study/folds")
    assert columns == ["model", "data", "protocol", "fold 1", "fold 2"]
    by_fold = [result_of(folder_of(runs / "s", k))["metrics"]["test/ua"] for k in (1, 2)]
    assert [one, two] == by_fold
    _, ((model, *_, ua, low, high),) = table(reported, "study/intervals")
    (line,) = rows(reported / "results.csv")
    assert (model, str(ua)) == (line["model"], line["ua_pooled"])
    assert low <= ua <= high
    columns, (cells,) = table(reported, "study/rows")
    assert dict(zip(columns, cells, strict=True))["n_runs"] == 2


def test_the_dashboard_shows_only_what_runs_have_told(runs, reported, capsys, monkeypatch):
    monkeypatch.setenv("WANDB_MODE", "offline")
    assert main(["dashboard", "s", f"runs_dir={runs}"]) == 0
    said = json.loads(capsys.readouterr().out)
    assert said["workspace"] is said["report"] is None
    board = dashboard(project_of(runs / "s", None, None))
    assert said["specification"] == json.loads(json.dumps(board.as_json()))
    assert (board.project, board.entity, board.study) == ("p", "me", "s")
    run, study = told(folder_of(runs / "s")), told(reported)
    logged = {k for t in (run, study) for row in (*t.history, t.summary) for k in row}
    names = {key.split("/_latest")[0] for key in logged} | {first_parts(key) for key in logged}
    assert board.keys <= names
    assert {tracked.STUDY_FOLDS, "test/confusion_table", "val/ua", "test/recall_sad"} <= board.keys
    assert board.config_keys <= set(run.config)


def first_parts(key):
    """Of what W&B says of a table, the name: `study/folds` of `study/folds/nrows`."""
    return key.rpartition("/")[0]


# Inside wandb-workspaces.
@pytest.mark.filterwarnings("ignore:Pydantic V1 style:DeprecationWarning")
def test_the_dashboard_is_what_wandb_workspaces_takes(runs, monkeypatch):
    pytest.importorskip("wandb_workspaces")
    from sermm.tracking.workspace import report, workspace

    monkeypatch.setenv("WANDB_MODE", "offline")
    board = dashboard(project_of(runs / "s", None, None))
    sent = json.dumps(workspace(board)._spec)
    assert all(f'"{key}"' in sent for key in board.keys - set(board.columns))
    assert all(f'"summary:{key}"' in sent for key in board.columns)
    blocks = report(board, "text").blocks
    panels = [p for block in blocks for p in getattr(block, "panels", ())]
    assert len(panels) == sum(len(section.panels) for section in board.sections)


def test_without_any_tracker_the_report_is_the_same(runs, reported, tmp_path, capsys):
    shutil.copytree(runs / "s", tmp_path / "s")
    words = ["report", "s", f"runs_dir={tmp_path}", "allow_missing=true"]
    assert main(words) == 0
    before = capsys.readouterr().out
    for folder in [*(tmp_path / "s").glob("*/wandb"), *(tmp_path / "s").glob("*/tensorboard")]:
        shutil.rmtree(folder)
    assert main(words) == 0
    assert capsys.readouterr().out == before
    assert not list(tmp_path.rglob("*.wandb"))


@pytest.mark.slow
def test_of_two_processes_only_the_first_tells(words, runs):
    command = [Path(sys.executable).parent / "sermm", *words, "logger=wandb", "study=ddp"]
    done = subprocess.run(
        [*command, "trainer.devices=2", "trainer.batch_size=8", "trainer.max_epochs=1"],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "OMP_NUM_THREADS": "1", "WANDB_MODE": "offline"},
    )
    assert done.returncode == 0, done.stderr
    assert [row["_step"] for row in told(folder_of(runs / "ddp")).history] == [1, 2]
