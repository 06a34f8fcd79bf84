"""Transcripts are made once, whoever dies on the way; a stand-in hears how long a clip is."""

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile

from sermm.configuration.verbs import TranscribeConfig
from sermm.core.errors import InputError
from sermm.engine.inputs.corpus import load
from sermm.engine.inputs.texts import read_transcripts, texts_of
from sermm.engine.inputs.transcribe import make_recogniser, transcribe

STAND_IN = '''
import os, time
from sermm.recognisers.base import Recogniser


class StandIn(Recogniser):
    """Says "word" for each tenth of a second; notes every clip, and takes its time."""

    name = "standin"
    window_s = 1.0

    def __init__(self, id, revision=None):
        self.id = id

    @property
    def identity(self):
        return {"kind": "standin", "weights": self.id}

    def load(self):
        self.note("loaded")

    def note(self, what):
        with open(os.environ["STAND_IN_LOG"], "a") as log:
            log.write(what + "\\n")

    def transcribe(self, waveform):
        time.sleep(float(os.environ.get("STAND_IN_S", "0")) * len(waveform))
        for size in waveform.sizes:
            self.note(str(size))
        return [" ".join(["word"] * (size // 1600)) for size in waveform.sizes]
'''
N = 12


@pytest.fixture
def words(tmp_path, monkeypatch):
    """Twelve clips of unlike lengths, the last two the same sound, and the stand-in."""
    (tmp_path / "stand_in_asr.py").write_text(STAND_IN)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setenv("STAND_IN_LOG", str(tmp_path / "log"))
    rng = np.random.default_rng(0)
    rows = ["path,label,speaker,text"]
    for n in range(N):
        clip = rng.standard_normal(1600 * (min(n, N - 2) + 1)).astype("float32") * 0.1
        if n == N - 1:
            clip, _ = soundfile.read(tmp_path / f"{N - 2}.wav", dtype="float32")
        soundfile.write(tmp_path / f"{n}.wav", clip, 16000, subtype="FLOAT")
        text = " ".join(["Word,"] * (n + 1))
        rows.append(f'{n}.wav,{"ang" if n % 2 else "sad"},t{n % 5},"{text}"')
    (tmp_path / "clips.csv").write_text("\n".join(rows) + "\n")
    return [
        "data=manifest",
        f"data.manifest={tmp_path / 'clips.csv'}",
        "data.name=clips",
        "protocol=groups5",
        "recogniser._target_=stand_in_asr.StandIn",
        "recogniser.id=first",
        "recogniser.batch_seconds=1.2",
        "accelerator=cpu",
        f"cache_dir={tmp_path / 'cache'}",
    ]


def heard(tmp_path):
    log = (tmp_path / "log").read_text().split() if (tmp_path / "log").exists() else []
    return sorted(int(line) for line in log if line != "loaded")


def call(words):
    config = TranscribeConfig.of(words)
    return transcribe(config, load(config), make_recogniser(config.recogniser))


def test_each_recording_is_recognised_once(words, tmp_path):
    done = call(words)
    assert heard(tmp_path) == [1600 * (n + 1) for n in range(N - 1)]
    assert (done.name, done.stored, done.computed, len(done.texts)) == ("standin", 0, N - 1, N)
    assert done.seconds == pytest.approx(0.1 * sum(range(1, N)))
    assert done.windowed == 2
    assert sorted(len(text.split()) for text in done.texts.values()) == [*range(1, N), N - 1]


def test_a_second_call_loads_nothing(words, tmp_path):
    call(words)
    (tmp_path / "log").unlink()
    done = call(words)
    assert not (tmp_path / "log").exists()
    assert (done.stored, done.computed, len(done.texts)) == (N - 1, 0, N)


def test_only_what_is_new_is_recognised(words, tmp_path):
    call(words)
    (tmp_path / "log").unlink()
    soundfile.write(tmp_path / "0.wav", np.full(4800, 0.1), 16000)
    assert call(words).computed == 1
    assert heard(tmp_path) == [4800]


def test_another_recogniser_needs_another_name(words, tmp_path):
    call(words)
    other = [*words, "recogniser.id=second"]
    with pytest.raises(InputError, match=r"weights first there, second asked for.*recogniser.name"):
        call(other)
    with pytest.raises(InputError, match=r"max_seconds None there, 0\.5 asked for"):
        call([*words, "max_seconds=0.5"])
    with pytest.raises(InputError, match=r"max_seconds None there, 2\.0 asked for"):
        call([*words, "max_seconds=2"])
    assert call([*other, "recogniser.name=2nd"]).computed == N - 1


def test_what_is_cut_is_heard_cut(words, tmp_path):
    done = call([*words, "max_seconds=0.5"])
    assert heard(tmp_path) == [1600, 3200, 4800, 6400, *[8000] * (N - 5)]
    assert done.windowed == 0


def test_a_file_that_vanishes_is_counted_and_the_others_are_done(words, tmp_path, monkeypatch):
    config = TranscribeConfig.of(words)
    loaded = load(config)
    (tmp_path / "3.wav").unlink()
    done = transcribe(config, loaded, make_recogniser(config.recogniser))
    assert list(done.failures) == [
        u.id for u in loaded.reading.utterances if "3.wav" in str(u.path)
    ]
    assert (done.computed, len(done.texts)) == (N - 2, N - 1)


@pytest.mark.parametrize(
    "given",
    ["recogniser.batch_seconds=0", "max_seconds=-1", "max_seconds=long", "recogniser.name=../x"],
)
def test_bad_options(words, given):
    with pytest.raises(InputError, match=given.split("=")[0]):
        call([*words, given])


def start(words, **environment):
    command = [sys.executable, "-m", "sermm.cli.main", "transcribe", *words]
    path = str(Path(os.environ["STAND_IN_LOG"]).parent)
    return subprocess.Popen(
        command,
        env={**os.environ, "PYTHONPATH": path, "OMP_NUM_THREADS": "1", **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )


def wait_for(tmp_path, n, process):
    limit = time.monotonic() + 120
    while len(heard(tmp_path)) < n:
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < limit
        time.sleep(0.01)


@pytest.mark.slow
@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT])
def test_what_is_done_survives_a_kill(words, tmp_path, how):
    process = start(words, STAND_IN_S="0.3")
    wait_for(tmp_path, 5, process)
    process.send_signal(how)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == (130 if how == signal.SIGINT else -signal.SIGKILL)
    assert "Traceback" not in errors
    done = len(read_transcripts(tmp_path / "cache", "standin").texts)
    assert 3 <= done < N - 1
    (tmp_path / "log").unlink()
    assert call(words).stored == done
    assert len(heard(tmp_path)) == N - 1 - done


@pytest.mark.slow
def test_two_processes_share_the_work(words, tmp_path):
    processes = [start([*words, "format=json"], STAND_IN_S="0.3") for _ in range(2)]
    outputs = [process.communicate(timeout=120) for process in processes]
    assert [process.returncode for process in processes] == [0, 0], outputs
    assert heard(tmp_path) == [1600 * (n + 1) for n in range(N - 1)]
    found = [json.loads(output) for output, _ in outputs]
    assert [one["utterances"] for one in found] == [N, N]
    assert sum(one["recognised"] for one in found) == N - 1


def texts(words, source):
    config = TranscribeConfig.of(words)
    loaded = load(config)
    config = config.changed({"text": {"source": source}})
    return loaded, texts_of(config, loaded.reading.utterances, loaded.digests)


def test_texts_of_the_machine_with_their_error_rate(words):
    call(words)
    loaded, (found, record) = texts(words, "asr:standin")
    assert {u.id: len(found[u.id].split()) for u in loaded.reading.utterances} == {
        u.id: min(N - 1, len(u.transcript.split())) for u in loaded.reading.utterances
    }
    # One word is lost, that of the last clip, out of 1 + 2 + ... + 12.
    assert record["wer"] == pytest.approx(1 / 78)
    assert (record["source"], record["n"]) == ("asr:standin", N)
    assert record["identity"]["weights"] == "first"
    json.dumps(record)


def test_texts_of_the_machine_are_composed(words, monkeypatch):
    call(words)

    def read(cache_dir, name):
        kept = read_transcripts(cache_dir, name)
        return replace(kept, texts=dict.fromkeys(kept.texts, "wo\u0308rd"))

    monkeypatch.setattr("sermm.engine.inputs.texts.read_transcripts", read)
    _, (found, _) = texts(words, "asr:standin")
    assert set(found.values()) == {"wörd"}


def test_texts_of_the_human(words):
    loaded, (found, record) = texts(words, "human")
    assert record == {"source": "human"}
    assert found == {u.id: u.transcript for u in loaded.reading.utterances}


def test_missing_texts_are_counted_and_the_command_is_given(words, tmp_path):
    call(words)
    soundfile.write(tmp_path / "0.wav", np.full(4800, 0.1), 16000)
    with pytest.raises(InputError, match="1 of 12 utterances have not been recognised") as error:
        texts(words, "asr:standin")
    command = str(error.value).split("`")[1].split()
    assert command[:2] == ["sermm", "transcribe"]
    assert f"data.manifest={tmp_path / 'clips.csv'}" in command
    assert {"recogniser.id=first", "recogniser.name=standin", "data=manifest"} <= set(command)


def test_sources_that_there_are_not(words):
    with pytest.raises(InputError, match=r"text\.source=asr:none: there are no transcripts"):
        texts(words, "asr:none")
    with pytest.raises(InputError, match=r"text\.source=machine: expected human, or asr:<name>"):
        texts(words, "machine")
