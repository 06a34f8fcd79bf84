"""Features stored once and used for ever: cached equals frozen, and nothing is computed twice."""

import csv
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch
import yaml
from transformers import Wav2Vec2Config, Wav2Vec2Model

from sermm.cli.main import main
from sermm.engine.extraction import one_pass as extraction_pass
from sermm.engine.extraction import sources as extraction_sources


@pytest.fixture(scope="module")
def folders(save_encoders, tmp_path_factory):
    return save_encoders(tmp_path_factory.mktemp("encoders"))


@pytest.fixture
def words(tones, folders, tmp_path):
    """Corpus, encoders, and a cache of the test's own."""
    speech, text = folders
    return [
        "data=manifest",
        f"data.manifest={tones}",
        "data.name=tones",
        "protocol=groups5",
        f"cache_dir={tmp_path / 'cache'}",
        f"encoder.speech.id={speech}",
        f"encoder.text.id={text}",
        "encoder.speech.layers=all",
        "trainer.accelerator=cpu",
    ]


def train(words, tmp_path, *more):
    """Trains two epochs; the probabilities of all utterances, and the run's folder."""
    runs = tmp_path / "runs"
    study = f"s{len(list(runs.glob('*'))) if runs.exists() else 0}"
    given = ["trainer.max_epochs=2", f"runs_dir={runs}", f"study={study}", *more]
    assert main(["train", *words, *given]) == 0
    (folder,) = (p.parent for p in (runs / study).glob("*/result.json"))
    return probabilities(folder), folder


def probabilities(folder):
    """What a run says of each utterance."""
    with (folder / "predictions.csv").open() as file:
        rows = list(csv.DictReader(file))
    return {r["utterance_id"]: [float(r[k]) for k in r if k.startswith("p_")] for r in rows}


@pytest.fixture
def passes(monkeypatch):
    """The number of utterances that each call of an encoder has computed."""
    seen = []
    save = extraction_pass.Pass._save

    def counted(self, encoder, batch, mine, writers):
        seen.append(len(batch))
        save(self, encoder, batch, mine, writers)

    monkeypatch.setattr(extraction_pass.Pass, "_save", counted)
    return seen


@pytest.mark.parametrize("model", ["speech_only", "text_only", "late_fusion", "single_gate"])
def test_cached_and_frozen_give_the_same_predictions(model, words, tmp_path):
    frozen, _ = train(words, tmp_path, f"model={model}", "features=frozen")
    cached, _ = train(
        words, tmp_path, f"model={model}", "features=cached", "features.dtype=float32"
    )
    assert list(frozen) == list(cached)
    for name, row in frozen.items():
        assert cached[name] == pytest.approx(row, abs=1e-5)


def test_features_are_computed_once(words, tmp_path, passes):
    cached = ["features=cached", "model=late_fusion"]
    train(words, tmp_path, *cached)
    # Sixty sounds, but the talkers all say the same four sentences.
    assert sum(passes) == 60 + 4
    train(words, tmp_path, *cached, "fold=2", "seed=1")
    train(words, tmp_path, "features=cached", "model=speech_only")
    assert sum(passes) == 64
    train(words, tmp_path, *cached, "encoder.speech.layers=last")
    assert sum(passes) == 64 + 60
    train(words, tmp_path, *cached, "features.dtype=float32")
    assert sum(passes) == 124 + 64


def test_a_changed_sound_and_a_changed_encoder_are_computed_anew(
    words, tones, folders, tmp_path, passes
):
    moved = tmp_path / "moved"
    shutil.copytree(tones.parent, moved, ignore=shutil.ignore_patterns("cache"))
    speech = tmp_path / "speech"
    shutil.copytree(folders[0], speech)
    cached = ["features=cached", "model=speech_only"]
    given = [*words, f"data.manifest={moved / 'tones.csv'}", f"encoder.speech.id={speech}"]
    train(given, tmp_path, *cached)
    assert sum(passes) == 60
    shutil.copy(moved / "0ang0.wav", moved / "0ang2.wav")
    train(given, tmp_path, *cached)
    assert sum(passes) == 60
    shutil.copy(moved / "1hap0.wav", moved / "new.wav")
    torch.manual_seed(1)
    config = Wav2Vec2Config.from_pretrained(speech)
    Wav2Vec2Model(config).save_pretrained(speech)
    train(given, tmp_path, *cached)
    assert sum(passes) == 60 + 59


@pytest.mark.parametrize(
    "over", ["global", "utterance", "talker", "{speech: talker, text: global}"]
)
def test_normalised_features_give_the_same_cached_and_frozen(over, words, tmp_path):
    given = ["model=late_fusion", f"features.normalise={over}"]
    frozen, _ = train(words, tmp_path, "features=frozen", *given)
    cached, folder = train(words, tmp_path, "features=cached", "features.dtype=float32", *given)
    for name, row in frozen.items():
        assert cached[name] == pytest.approx(row, abs=2e-5)
    assert json.loads((folder / "result.json").read_text())["features"][
        "normalise"
    ] == yaml.safe_load(over)


def test_each_modality_is_normalised_by_itself(words, tmp_path):
    words = [*words, "features=cached", "model=late_fusion", "encoder.text.layers=last"]
    none, _ = train(words, tmp_path)
    speech, folder = train(words, tmp_path, "features.normalise={speech: global}")
    both, _ = train(words, tmp_path, "features.normalise=global")
    assert none != speech != both
    kept = torch.load(folder / "checkpoints" / "best.ckpt", weights_only=True)
    statistics = [name for name in kept if name.endswith((".mean", ".deviation"))]
    assert {name.split(".")[1] for name in statistics} == {"frame"}
    recorded = json.loads((folder / "result.json").read_text())["features"]["normalise"]
    assert recorded == {"speech": "global", "text": "none"}


def test_nothing_is_cut_where_no_limit_is_set(words, tones, tmp_path, capsys):
    words = [*words, "features=cached", "model=late_fusion", "model.streams=[text,frame,phone]"]
    words += ["align.sources=[whole]"]
    limited, _ = train(words, tmp_path, "trainer.max_seconds=15")
    whole, folder = train(words, tmp_path, "trainer.max_seconds=null")
    assert whole == limited
    assert json.loads((folder / "result.json").read_text())["counts"]["cut"] == 0
    name = next(iter(whole))
    given = [str(folder), str(tones.parent / f"{name}.wav"), "text=no", "format=json"]
    capsys.readouterr()
    assert main(["predict", *given]) == 0
    labelled = json.loads(capsys.readouterr().out)
    answer = labelled[0] if isinstance(labelled, list) else labelled
    assert answer["seconds"] == answer["used_seconds"]
    assert main(["evaluate", str(folder), "format=json"]) == 0
    assert main(["explain", str(folder), f"utterance={name}"]) in (0, 2)


@pytest.mark.parametrize("features", ["frozen", "cached"])
def test_transcripts_that_are_cut_are_counted_and_told(features, words, tones, tmp_path, capsys):
    # [CLS] i am furious today [SEP]
    words = [*words, "model=text_only", f"features={features}"]
    whole, folder = train(words, tmp_path, "encoder.text.max_tokens=6")
    assert "max_tokens" not in capsys.readouterr().err
    assert counts_of(folder)["cut_texts"] == 0
    _, folder = train(words, tmp_path, "encoder.text.max_tokens=5")
    assert "  60 transcripts are cut at encoder.text.max_tokens\n" in capsys.readouterr().err
    assert counts_of(folder)["cut_texts"] == 60
    assert main(["evaluate", str(folder), "split=test", "format=json"]) == 0
    assert json.loads(capsys.readouterr().out)["cut_texts"] == 12
    wav = str(tones.parent / f"{next(iter(whole))}.wav")
    for text, told in (("I am glad today", True), ("I am glad", False)):
        assert main(["predict", str(folder), wav, f"text={text}"]) == 0
        printed = capsys.readouterr()
        assert ("only the start of its text is read" in printed.out + printed.err) == told


def counts_of(folder):
    return json.loads((folder / "result.json").read_text())["counts"]


def test_evaluation_hears_of_a_talker_what_training_heard(words, tmp_path, capsys):
    # A tenth of every training talker validates: normalised over that tenth, scores would differ.
    target = "protocol.validation_rule._target_=sermm.protocols.validation.RandomShare"
    split = [target, "+protocol.validation_rule.share=0.1"]
    normalised = ["features=frozen", "features.normalise=talker"]
    _, folder = train(words, tmp_path, "model=speech_only", *normalised, *split)
    rows = read_rows(folder / "predictions.csv")
    capsys.readouterr()
    for part in ("val", "test"):
        assert main(["evaluate", str(folder), f"split={part}", "format=json"]) == 0
        there = json.loads(capsys.readouterr().out)["folder"]
        again = {row["utterance_id"]: row for row in read_rows(Path(there) / "predictions.csv")}
        own = [row for row in rows if row["split"] == part]
        assert len(own) == len(again)
        for row in own:
            for name in ("p_ang", "p_hap", "p_neu", "p_sad"):
                found = float(again[row["utterance_id"]][name])
                assert found == pytest.approx(float(row[name]), abs=1e-6)


def read_rows(path):
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def test_a_cached_run_labels_a_file(words, tones, tmp_path, capsys):
    found, folder = train(
        words, tmp_path, "features=cached", "features.dtype=float32", "features.normalise=global"
    )
    name = next(iter(found))
    wav = tones.parent / f"{name}.wav"
    capsys.readouterr()
    text = "I am gloomy today"
    assert main(["predict", str(folder), str(wav), f"text={text}", "format=json"]) == 0
    (labelled,) = json.loads(capsys.readouterr().out)
    assert sum(labelled["probabilities"].values()) == pytest.approx(1.0)
    assert main(["evaluate", str(folder), "format=json"]) == 0


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (["encoder/speech=tiny", "model=speech_only"], "starts from random weights in every run"),
        (["features.dtype=int8"], "features.dtype=int8: expected float16, bfloat16"),
        (["features.normalise=global", "features=finetune"], "encoders that stay as they are"),
        (["features.normalise=session"], "features.normalise=session: expected none, global"),
        (["encoder.speech.id=/nowhere/at/all"], "there is no such folder"),
        (["model.streams=[text,melody]"], "expected some of text, frame, phone, syllable, word"),
        (["model.streams=[]"], "expected some of text, frame, phone"),
    ],
)
def test_wrong_use(more, message, words, tmp_path, capsys):
    if "encoder/speech=tiny" in more:
        words = [w for w in words if not w.startswith("encoder.speech.")]
    assert main(["train", *words, f"runs_dir={tmp_path}", "features=cached", *more]) == 2
    assert message in capsys.readouterr().err


def extract(words, *more):
    """`sermm extract` on the tones, in batches of one second."""
    words = [w for w in words if not w.startswith("runs_dir")]
    return main(["extract", *words, "features.batch_seconds=1.0", *more])


def stores(capsys):
    """What `format=json` printed."""
    return json.loads(capsys.readouterr().out)["stores"]


def test_extract_by_hand_then_train_computes_nothing(words, tmp_path, passes, capsys):
    assert extract(words, "streams=[speech,text]", "format=json", "dry_run=true") == 0
    assert [(s["stream"], s["items"], s["missing"]) for s in stores(capsys)] == [
        ("speech", 60, 60),
        ("text", 4, 4),
    ]
    assert not passes
    assert extract(words, "streams=[speech,text]", "format=json") == 0
    assert [s["missing"] for s in stores(capsys)] == [0, 0]
    train(words, tmp_path, "features=cached", "model=late_fusion")
    assert sum(passes) == 64


def test_interrupted_work_goes_on_where_it_stopped(words, passes, monkeypatch, capsys):
    save = extraction_pass.Pass._save

    def interrupted(self, *args):
        if sum(passes) >= 20:
            raise KeyboardInterrupt
        save(self, *args)

    monkeypatch.setattr(extraction_pass.Pass, "_save", interrupted)
    assert extract(words) == 130
    kept = sum(passes)
    assert 20 <= kept < 60
    monkeypatch.setattr(extraction_pass.Pass, "_save", save)
    capsys.readouterr()
    assert extract(words) == 0
    assert f"speech: {kept} were stored, {60 - kept} computed" in capsys.readouterr().out
    assert sum(passes) == 60


def test_a_disk_that_is_too_small_is_refused_before_anything_is_written(
    words, monkeypatch, tmp_path, capsys
):
    usage = shutil._ntuple_diskusage(100_000, 90_000, 10_000)
    monkeypatch.setattr(extraction_pass.shutil, "disk_usage", lambda path: usage)
    assert extract(words) == 2
    said = capsys.readouterr().err
    assert "take 109 kB of 10 kB free" in said
    assert "features.dtype=float16" in said
    assert not list(tmp_path.glob("cache/features/*/*.safetensors"))


def test_a_file_that_vanishes_is_listed_and_the_others_are_stored(
    words, tones, tmp_path, monkeypatch, capsys
):
    load = extraction_sources.load

    def gone(path, *span):
        return load(path.with_name("gone.wav") if path.stem == "2neu1" else path, *span)

    monkeypatch.setattr(extraction_sources, "load", gone)
    assert extract(words) == 1
    said = capsys.readouterr()
    assert "60 in store" in said.out
    assert "1 missing" in said.out
    assert "no features: 1" in said.err
    assert "2neu1" in said.err
    runs = f"runs_dir={tmp_path / 'runs'}"
    assert main(["train", *words, runs, "features=cached", "model=speech_only"]) == 2
    assert "1 utterances have no features (first: 2neu1" in capsys.readouterr().err


def test_a_flipped_bit_is_found_named_and_computed_again(words, tmp_path, passes, capsys):
    assert extract(words) == 0
    (shard,) = tmp_path.glob("cache/features/*/*.safetensors")
    content = bytearray(shard.read_bytes())
    content[-100] ^= 4
    shard.write_bytes(content)
    capsys.readouterr()
    assert extract(words) == 0
    assert shard.name in capsys.readouterr().err
    assert sum(passes) == 120


@pytest.mark.parametrize("workers", [0, 1])
def test_training_is_refused_damage_that_changes_no_time_and_the_same_command_mends_it(
    workers, words, tmp_path, passes, capsys
):
    words = [*words, "features=cached", "model=speech_only", f"trainer.num_workers={workers}"]
    before, _ = train(words, tmp_path)
    (shard,) = tmp_path.glob("cache/features/*/*.safetensors")
    content, stamp = bytearray(shard.read_bytes()), shard.stat()
    content[-100] ^= 4
    shard.write_bytes(content)
    os.utime(shard, ns=(stamp.st_atime_ns, stamp.st_mtime_ns))
    capsys.readouterr()
    again = ["train", *words, "trainer.max_epochs=2", f"runs_dir={tmp_path / 'runs'}", "study=s1"]
    assert main(again) == 2
    (said,) = [line for line in capsys.readouterr().err.splitlines() if "damaged" in line]
    assert said.startswith(f"sermm train: {shard}: the features of ")
    assert "give the same command again" in said
    assert main(again) == 0
    assert f"{shard}: the values of 1 of its 60 utterances are damaged" in capsys.readouterr().err
    assert sum(passes) == 120
    (folder,) = (tmp_path / "runs" / "s1").glob("[0-9a-f]*")
    assert probabilities(folder) == before


def test_features_too_large_for_half_precision_are_refused(words, folders, tmp_path, capsys):
    loud = tmp_path / "loud"
    shutil.copytree(folders[0], loud)
    model = Wav2Vec2Model.from_pretrained(loud)
    with torch.no_grad():
        model.encoder.layers[-1].final_layer_norm.weight.mul_(1e6)
    model.save_pretrained(loud)
    given = [*words, f"encoder.speech.id={loud}"]
    assert extract(given) == 2
    assert "not finite in torch.float16; use features.dtype=bfloat16" in capsys.readouterr().err
    assert extract(given, "features.dtype=bfloat16") == 0


def test_two_processes_share_the_work_and_wait_for_each_other(words, tmp_path):
    """Each claims a batch ahead; neither may sleep on one that the other is waiting for."""
    script = (
        "import sys, time; from sermm.engine.extraction import one_pass as e\n"
        "from sermm.cli.main import main; save = e.Pass._save; n = []\n"
        "def slow(self, encoder, batch, mine, writers):\n"
        "    time.sleep(0.05); n.append(len(batch)); save(self, encoder, batch, mine, writers)\n"
        "e.Pass._save = slow; code = main(sys.argv[1:]); print('computed', sum(n)); sys.exit(code)"
    )
    command = [sys.executable, "-c", script, "extract", *words, "features.batch_seconds=1.0"]
    both = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    outputs = [process.communicate(timeout=200)[0] for process in both]
    assert [process.returncode for process in both] == [0, 0]
    computed = [int(output.split()[-1]) for output in outputs]
    assert sum(computed) == 60


GRID = """File type = "ooTextFile"
Object class = "TextGrid"

0
{end}
<exists>
1
"IntervalTier"
"words"
0
{end}
3
0
0.1
"i"
0.1
0.2
"am"
0.2
{end}
"glad"
"""


def test_words_with_times_cached_and_frozen(words, tones, tmp_path):
    grids = tmp_path / "grids"
    grids.mkdir()
    for wav in sorted(tones.parent.glob("*0.wav")):
        (grids / f"{wav.stem}.TextGrid").write_text(GRID.format(end=0.3))
    given = [
        "model=speech_only",
        "model.level=word",
        "align.sources=[mfa,whole]",
        f"align.mfa_dir={grids}",
        "encoder/text=tiny",
    ]
    words = [w for w in words if not w.startswith("encoder.text")]
    frozen, _ = train(words, tmp_path, "features=frozen", *given)
    cached, folder = train(words, tmp_path, "features=cached", "features.dtype=float32", *given)
    for name, row in frozen.items():
        assert cached[name] == pytest.approx(row, abs=1e-5)
    result = json.loads((folder / "result.json").read_text())
    assert result["unit_sources"] == {"word": {"mfa": 20, "whole": 40}}
    (store,) = tmp_path.glob("cache/features/*/store.json")
    assert json.loads(store.read_text())["description"]["level"] == "word"
    frames, _ = train(words, tmp_path, "features=frozen", "model=speech_only", "encoder/text=tiny")
    assert frames != frozen


def test_streams_of_one_encoder_share_it_and_one_pass(words, tones, tmp_path, passes):
    grids = tmp_path / "grids"
    grids.mkdir()
    for wav in sorted(tones.parent.glob("*.wav")):
        (grids / f"{wav.stem}.TextGrid").write_text(GRID.format(end=0.3))
    given = [
        "model=late_fusion",
        "model.streams=[text,frame,word]",
        "align.sources=[mfa,whole]",
        f"align.mfa_dir={grids}",
    ]
    frozen, run = train(words, tmp_path, "features=frozen", *given)
    cached, folder = train(words, tmp_path, "features=cached", "features.dtype=float32", *given)
    assert sum(passes) == 60 + 4
    for name, row in frozen.items():
        assert cached[name] == pytest.approx(row, abs=1e-5)
    assert len(list(tmp_path.glob("cache/features/*/store.json"))) == 3
    wav = str(tones.parent / "0ang0.wav")
    for one in (run, folder):
        assert main(["predict", str(one), wav, "text=I am glad", "format=json"]) == 0
    two, _ = train(words, tmp_path, "features=cached", "model=late_fusion")
    assert two != frozen
