"""Trained Whispers on real speech: the texts are what was said."""

import csv
import os
from pathlib import Path

import pytest
import torch

from sermm.core.errors import InputError
from sermm.core.ragged import Ragged
from sermm.data.audio import load
from sermm.recognisers.whisper import WhisperModel
from sermm.recognisers.word_errors import word_errors

pytestmark = [pytest.mark.trained, pytest.mark.real_speech, pytest.mark.slow]


@pytest.fixture(scope="module")
def clips():
    """Some clips of a corpus, neutral ones, and what is said in them."""
    if "SERMM_REAL_SPEECH" not in os.environ:
        pytest.skip("SERMM_REAL_SPEECH is not set")

    def some(corpus, n):
        folder = Path(os.environ["SERMM_REAL_SPEECH"]) / corpus
        with (folder / "manifest.csv").open(encoding="utf-8") as file:
            rows = [row for row in csv.DictReader(file) if row["emotion"] == "neutral"]
        rows = rows[:: len(rows) // n][:n]
        waveform = Ragged.pack([load(folder / row["path"], None, None, None) for row in rows])
        return waveform, [row["text"] for row in rows]

    return some


def wer(human, heard):
    return word_errors(zip(human, heard, strict=True)).wer


@pytest.mark.parametrize("name", ["whisper-base", "whisper-tiny.en"])
def test_english(trained_models, clips, name):
    waveform, human = clips("ravdess", 6)
    assert wer(human, WhisperModel(str(trained_models / name)).transcribe(waveform)) < 0.1


@pytest.mark.parametrize("precision", ["32-true", "bf16-encoder"])
def test_german(trained_models, clips, precision):
    waveform, human = clips("emodb", 6)
    model = WhisperModel(str(trained_models / "whisper-base"), language="de", precision=precision)
    assert wer(human, model.transcribe(waveform)) < 0.3


@pytest.mark.parametrize(("corpus", "code"), [("ravdess", "en"), ("emodb", "de")])
def test_the_language_is_detected(trained_models, clips, corpus, code):
    model = WhisperModel(str(trained_models / "whisper-base"), language=None)
    model.transcribe(clips(corpus, 4)[0])
    assert model.detected[code] >= 3


def test_beyond_thirty_seconds(trained_models, clips):
    waveform, human = clips("ravdess", 12)
    long = torch.cat(waveform.split())
    assert len(long) > 30 * 16000
    (text,) = WhisperModel(str(trained_models / "whisper-tiny.en")).transcribe(Ragged.pack([long]))
    assert wer([" ".join(human)], [text]) < 0.2


def test_an_english_model_refuses_german(trained_models):
    with pytest.raises(InputError, match=r"knows English only, got recogniser\.language=de"):
        WhisperModel(str(trained_models / "whisper-tiny.en"), language="de")
