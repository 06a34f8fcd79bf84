"""Trackers beside the run folder: what they are told, read back from their own files."""

import csv
import json
import os
import shutil
import signal
import struct
import subprocess
import sys
import time
from collections import Counter
from contextlib import suppress
from pathlib import Path

import pytest
import soundfile
from google.protobuf.message import DecodeError
from wandb.proto import wandb_internal_pb2

from sermm.cli.main import main
from sermm.configuration.compose import read_yaml
from sermm.runs.address import address
from sermm.runs.stopping import SIGNALS
from sermm.runs.studies import run_folders
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
        self.artifacts, self.metrics = {}, {}
        self.stats, self.exit, self.preempting = 0, None, 0
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
                    self.artifacts[record.artifact.name] = record.artifact
                case "metric":
                    self.metrics[record.metric.name] = record.metric
                case "preempting":
                    self.preempting += 1
                case "exit":
                    self.exit = record.exit.exit_code


def items(found):
    return {i.key or "/".join(i.nested_key): json.loads(i.value_json) for i in found}


def told(folder):
    """The one offline run of a folder, as soon as W&B has written it to its end."""
    (path,) = folder.glob("wandb/offline-run-*/*.wandb")
    limit = time.monotonic() + 60
    while True:
        # What is being written cannot be read to its end.
        with suppress(DecodeError):
            if (found := Told(path)).exit is not None:
                return found
        assert time.monotonic() < limit
        time.sleep(0.05)


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
        # The second words are the default, so that both are of one system.
        said = ["fold=2", "trainer.accumulate=1", "logger.audio=true", "logger.artifact=true"]
        assert main([*of_wandb, *said]) == 0
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
        system = result_of(folder)["system"]
        words = "data.name=tones encoder/text=tiny model.streams=[text] trainer.max_epochs=2"
        label = f"text_only {words} [{system[:8]}]"
        assert (run.project, run.run_group) == ("p", f"s/groups5/{label}")
        assert run.display_name == f"{label} fold {fold} seed 0"
        config = told(folder).config
        assert (config["system"], config["system_key"]) == (label, system)
        assert config["system_fold"] == f"{label}, fold {fold}"
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
    result = result_of(folder)
    assert {k: config[f"versions/{k}"] for k in result["versions"]} == result["versions"]
    assert {k: config[f"git/{k}"] for k in result["git"]} == result["git"]
    assert config["device"] == result["cost"]["device"]


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
    best, last = result["epochs"]["best"], result["epochs"]["last"]
    assert found.summary["epochs/best"] == found.summary["epoch"] == best
    epochs = rows(folder / "metrics.csv")
    for name, value in epochs[best - 1].items():
        assert found.summary[name] == pytest.approx(float(value), abs=1e-6)
    for name, value in epochs[last - 1].items():
        assert found.summary[f"last/{name}"] == float(value)
    assert (found.summary["status"], found.summary["status/reason"]) == ("finished", "")
    # Else W&B would put the last epoch there by itself.
    assert found.metrics.keys() == set(epochs[0])
    for name, metric in found.metrics.items():
        assert metric.summary.none
        assert name == "epoch" or metric.step_metric == "epoch"
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


def test_where_a_run_is_shown_is_kept_and_printed(words, runs, capsys, monkeypatch):
    monkeypatch.setenv("WANDB_MODE", "offline")
    (record,) = folder_of(runs / "s").glob("wandb/offline-run-*")
    assert address(folder_of(runs / "s")) == f"wandb sync {record}"
    assert main([*words, "logger=wandb", "study=said", "trainer.max_epochs=1"]) == 0
    assert capsys.readouterr().err.count("W&B: offline; to upload: wandb sync ") == 2


def test_the_model_is_an_artifact_from_which_it_is_used_again(runs, tones, tmp_path, capsys):
    without, folder = (folder_of(runs / "s", fold) for fold in (1, 2))
    assert not [name for name in told(without).artifacts if name.startswith("model-")]
    found = told(folder).artifacts[f"model-{folder.name}"]
    assert found.type == "model"
    about, result = json.loads(found.metadata), result_of(folder)
    assert {k: about[k] for k in result["metrics"]} == result["metrics"]
    assert (about["key"], about["study"]) == (folder.name, "s")
    assert about["run_folder"] == str(folder)
    copy = tmp_path / "downloaded"
    for one in found.manifest.contents:
        # Not copied to be uploaded: a checkpoint may be large.
        assert Path(one.local_path) == folder / one.path
        (copy / one.path).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(one.local_path, copy / one.path)
    sound = next(tones.parent.rglob("*.wav"))
    said = []
    for one in (folder, copy):
        assert main(["predict", str(one), str(sound), "text=so it is", "format=json"]) == 0
        said.append(capsys.readouterr().out)
    assert said[0] == said[1]


SCONTROL = """#!/bin/sh
[ "$1" = requeue ] || echo JobState=RUNNING Requeue=1 TimeLimit=UNLIMITED RunTime=00:01:00
"""


@pytest.fixture
def of_slurm(tmp_path, monkeypatch):
    """A job that Slurm would requeue."""
    (tmp_path / "bin").mkdir()
    program = tmp_path / "bin/scontrol"
    program.write_text(SCONTROL)
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(program.parent), prepend=os.pathsep)
    monkeypatch.setenv("SLURM_JOB_ID", "7")
    monkeypatch.setenv("SLURM_JOB_NAME", "sermm")


def ended(words, study, monkeypatch, what):
    """What W&B was told of a run in whose last step something happens."""
    monkeypatch.setenv("WANDB_MODE", "offline")
    monkeypatch.setattr("sermm.engine.run.record", what)
    before = {number: signal.getsignal(number) for number in SIGNALS}
    try:
        assert main([*words, "logger=wandb", f"study={study}", "trainer.max_epochs=1"]) != 0
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    (folder,) = run_folders(runs_dir(words) / study)
    return told(folder)


def test_a_run_that_failed_says_of_what(words, monkeypatch):
    def fails(*_):
        raise RuntimeError("no room left")

    found = ended(words, "failed", monkeypatch, fails)
    assert (found.exit, found.preempting) == (1, 0)
    assert found.summary["status"] == "failed"
    assert found.summary["status/reason"] == "RuntimeError: no room left"
    assert found.summary["last/epoch"] == 1
    assert "val/ua" not in found.summary


def test_a_run_that_was_stopped_is_not_called_failed(words, monkeypatch):
    found = ended(words, "stopped", monkeypatch, lambda *_: os.kill(os.getpid(), signal.SIGTERM))
    assert (found.exit, found.preempting) == (255, 0)
    assert found.summary["status"] == "interrupted"
    assert found.summary["status/reason"].startswith("stopped by SIGTERM")


def test_a_run_that_was_preempted_is_called_so(words, monkeypatch, of_slurm):
    found = ended(words, "preempted", monkeypatch, lambda *_: os.kill(os.getpid(), signal.SIGUSR1))
    assert found.exit == 1
    assert found.preempting > 0
    assert found.summary["status"] == "preempted"
    assert found.summary["status/reason"] == "preempted: SIGUSR1 from Slurm, job 7 requeued"


def events_of(folder):
    """The folder of events of a run."""
    (events,) = folder.parent.glob(f".tensorboard/*/*-{folder.name[:8]}")
    return events


def accumulated(folder):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    events = EventAccumulator(str(folder))
    events.Reload()
    return events


def test_tensorboard_has_curves_scores_and_matrices(runs):
    folder = folder_of(runs / "t")
    events = accumulated(events_of(folder))
    epochs = rows(folder / "metrics.csv")
    for name in tracked.history(CLASSES):
        assert [e.step for e in events.Scalars(name)] == [1, 2]
        assert [e.value for e in events.Scalars(name)] == [
            pytest.approx(float(row[name])) for row in epochs
        ]
    for name in ("test/confusion/text_summary", "config/text_summary"):
        assert events.Tensors(name)


def test_tensorboard_calls_runs_by_system_fold_and_seed(runs):
    folder = folder_of(runs / "t")
    key, system = folder.name[:8], result_of(folder)["system"][:8]
    words = "data.name=tones encoder-text=tiny model.streams=text trainer.max_epochs=2"
    name = f"text_only {words} {system}"
    assert events_of(folder) == runs / "t/.tensorboard" / name / f"fold1-seed0-{key}"
    assert not (folder / "tensorboard").exists()


def test_tensorboard_has_settings_beside_scores_under_the_names_of_wandb(runs):
    from tensorboard.plugins.hparams import metadata

    folder = folder_of(runs / "t")
    result = result_of(folder)
    best = accumulated(events_of(folder) / "best")
    of_wandb = told(folder_of(runs / "s")).summary
    names = set(best.Tags()["scalars"])
    assert {*tracked.summary(CLASSES), *tracked.history(CLASSES)} <= names <= set(of_wandb)
    for name, value in result["metrics"].items():
        assert best.Scalars(name)[-1].value == pytest.approx(value)
        assert best.Scalars(name)[-1].step == result["epochs"]["best"]
    content = best.PluginTagToContent(metadata.PLUGIN_NAME)
    told_of = metadata.parse_session_start_info_plugin_data(
        content[metadata.SESSION_START_INFO_TAG]
    )
    found = {k: v.number_value or v.string_value for k, v in told_of.hparams.items()}
    assert found.pop("seed") == ""
    assert found == {
        "model": "text_only",
        "data": "tones",
        "protocol": "groups5",
        "fold": 1.0,
        "data.name": "tones",
        "encoder/text": "tiny",
        "model.streams": "[text]",
        "trainer.max_epochs": 2.0,
    }
    # TensorBoard would take the columns of one run for those of all.
    assert metadata.EXPERIMENT_TAG not in content


def test_a_run_that_is_forgotten_is_forgotten_in_tensorboard(runs, tmp_path):
    shutil.copytree(runs / "t", tmp_path / "t")
    folder = folder_of(tmp_path / "t")
    assert events_of(folder).is_dir()
    assert main(["forget", str(folder), f"runs_dir={tmp_path}", "yes=true"]) == 0
    assert not folder.exists()
    assert not (tmp_path / "t/.tensorboard").exists()


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
    for folder in [*(tmp_path / "s").glob("*/wandb"), tmp_path / "s/.systems"]:
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
