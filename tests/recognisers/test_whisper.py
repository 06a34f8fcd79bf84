import json

import pytest
import torch
from transformers import (
    WhisperFeatureExtractor,
    WhisperForConditionalGeneration,
    WhisperTokenizer,
)

from sermm.core.errors import InputError
from sermm.core.ragged import Ragged
from sermm.encoders.hf.loading import Source, quiet
from sermm.recognisers.whisper import WhisperModel


def noise(*lengths):
    rng = torch.Generator().manual_seed(0)
    return Ragged.pack(
        [0.1 * (i + 1) * torch.randn(n, generator=rng) for i, n in enumerate(lengths)]
    )


def test_a_text_is_the_same_alone_and_in_a_batch(whisper_folder):
    model = WhisperModel(str(whisper_folder))
    together = noise(16000, 4000, 9000, 30000, 1000)
    texts = model.transcribe(together)
    assert texts == [model.transcribe(Ragged.pack([clip]))[0] for clip in together.split()]
    assert len(set(texts)) > 2


def test_long_audio_is_heard_in_windows(whisper_folder):
    model = WhisperModel(str(whisper_folder))
    long = noise(40000)
    pieces = model.transcribe(Ragged.pack([long.values[:1], long.values]))
    assert pieces[0] == ""
    assert len(pieces[1]) > len(model.transcribe(Ragged.pack([long.values[:16000]]))[0])
    assert model.cost_s(0.5) == 30
    assert model.cost_s(30.5) == 60


def test_nothing_to_hear(whisper_folder):
    assert WhisperModel(str(whisper_folder)).transcribe(noise(0, 399)) == ["", ""]


def test_language_task_and_length_change_text_and_identity(whisper_folder):
    one = WhisperModel(str(whisper_folder))
    other = WhisperModel(str(whisper_folder), language="german", max_tokens=3)
    assert one.identity != other.identity
    json.dumps(one.identity)
    waveform = noise(16000)
    assert len(other.transcribe(waveform)[0]) <= 3 < len(one.transcribe(waveform)[0])


def test_language_is_detected_where_none_is_given(whisper_folder):
    waveform = noise(16000)
    detected = WhisperModel(str(whisper_folder), language=None).transcribe(waveform)
    assert detected[0] in {
        WhisperModel(str(whisper_folder), language=code).transcribe(waveform)[0]
        for code in ("en", "de")
    }


def test_an_unknown_language_is_refused_with_those_there_are(whisper_folder):
    with pytest.raises(InputError, match=r"recogniser\.language=fr: .* it knows de, en"):
        WhisperModel(str(whisper_folder), language="fr")


def test_a_language_that_does_not_exist_is_refused_before_the_hub_is_asked(monkeypatch):
    monkeypatch.setattr(Source, "fetch", None)
    with pytest.raises(InputError, match=r"recogniser\.language=xx: no Whisper has .* null .* de,"):
        WhisperModel("openai/whisper-small", language="xx")


def test_an_english_model_takes_no_other_language(english_whisper_folder):
    assert WhisperModel(str(english_whisper_folder)).transcribe(noise(16000))[0]
    with pytest.raises(InputError, match="knows English only"):
        WhisperModel(str(english_whisper_folder), language="de")


def test_it_is_said_which_languages_were_detected(whisper_folder):
    given, detecting = (WhisperModel(str(whisper_folder), language=code) for code in ("de", None))
    waveform = noise(16000, 9000, 100, 50000)
    given.transcribe(waveform)
    assert not given.detected
    detecting.transcribe(waveform)
    # A clip of four windows is one; one that is too short to be heard is in none.
    assert sum(detecting.detected.values()) == 3
    assert set(detecting.detected) <= {"de", "en"}


def test_the_encoder_hears_each_window_once(whisper_folder, monkeypatch):
    model = WhisperModel(str(whisper_folder), language=None)
    model.load()
    seen = []
    encoder = model._network.model.get_encoder()
    monkeypatch.setattr(
        encoder, "forward", lambda x, f=encoder.forward, **k: (seen.append(len(x)), f(x, **k))[1]
    )
    model.transcribe(noise(*[9000] * 18, 50000))
    assert sum(seen) == 18 + 4


@pytest.mark.parametrize("beams", [1, 3])
def test_texts_are_those_of_transformers(whisper_folder, beams):
    bare = WhisperForConditionalGeneration.from_pretrained(whisper_folder)
    extractor = WhisperFeatureExtractor.from_pretrained(whisper_folder)
    tokenizer = WhisperTokenizer.from_pretrained(whisper_folder)
    waveform = noise(*range(2000, 16000, 700))
    theirs = []
    for clip in waveform.split():
        mel = extractor(clip.numpy(), sampling_rate=16000, return_tensors="pt").input_features
        with quiet():
            tokens = bare.generate(mel, language="de", task="transcribe", num_beams=beams)
        (text,) = tokenizer.batch_decode(tokens, skip_special_tokens=True)
        theirs.append(" ".join(text.split()))
    assert WhisperModel(str(whisper_folder), language="de", beams=beams).transcribe(waveform) == (
        theirs
    )


def test_nothing_is_written_on_the_way(whisper_folder, capfd):
    WhisperModel(str(whisper_folder)).transcribe(noise(16000, 9000))
    assert capfd.readouterr() == ("", "")


def test_half_precision_is_another_identity_and_the_usual_one_is_as_before(whisper_folder):
    usual = WhisperModel(str(whisper_folder))
    half = WhisperModel(str(whisper_folder), precision="bf16-encoder")
    assert "precision" not in usual.identity
    assert half.identity == {**usual.identity, "precision": "bf16-encoder"}
    assert half.transcribe(noise(16000))[0]
    assert half._network.model.get_encoder().conv1.weight.dtype == torch.bfloat16
    assert half._network.model.get_decoder().layer_norm.weight.dtype == torch.float32


@pytest.mark.parametrize(
    "options", [{"precision": "int8"}, {"task": "sing"}, {"beams": 0}, {"max_tokens": 0}]
)
def test_options_out_of_range(whisper_folder, options):
    with pytest.raises(InputError, match=rf"recogniser\.{next(iter(options))}="):
        WhisperModel(str(whisper_folder), **options)
