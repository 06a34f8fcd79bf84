import os
from importlib.metadata import PackageNotFoundError
from pathlib import Path

import pytest
import torch

from sermm.core.errors import InputError
from sermm.core.ragged import Ragged
from sermm.data.audio import load
from sermm.recognisers import sphinx
from sermm.recognisers.sphinx import SphinxRecogniser
from sermm.recognisers.word_errors import word_errors

KIDS, DOGS = "Kids are talking by the door.", "Dogs are sitting by the door."


def test_without_the_package_the_way_out_is_said(monkeypatch):
    def missing(name):
        raise PackageNotFoundError(name)

    monkeypatch.setattr(sphinx, "version", missing)
    with pytest.raises(InputError, match=r'pip install "sermm\[sphinx\]"'):
        SphinxRecogniser()


def test_less_than_a_frame_and_silence():
    pytest.importorskip("pocketsphinx")
    clips = Ragged.pack([torch.zeros(0), torch.ones(409), torch.zeros(410), torch.zeros(800)])
    assert SphinxRecogniser().transcribe(clips) == ["", "", "", ""]


@pytest.mark.slow
@pytest.mark.real_speech
@pytest.mark.skipif("SERMM_REAL_SPEECH" not in os.environ, reason="SERMM_REAL_SPEECH not set")
def test_real_speech_is_understood_and_order_does_not_matter():
    pytest.importorskip("pocketsphinx")
    root = Path(os.environ["SERMM_REAL_SPEECH"]) / "ravdess"
    # neutral, both sentences, a man and a woman
    names = [f"03-01-01-01-{s}-01-{actor:02}" for actor in (11, 12) for s in ("01", "02")]
    paths = [next(root.rglob(f"{name}.*")) for name in names]
    clips = [load(path) for path in paths]
    recogniser = SphinxRecogniser()
    texts = recogniser.transcribe(Ragged.pack(clips))
    assert recogniser.transcribe(Ragged.pack(clips[::-1]))[::-1] == texts
    errors = word_errors(zip([KIDS, DOGS] * 2, texts, strict=True))
    assert errors.words == 24
    assert errors.wer is not None
    assert errors.wer < 0.3
