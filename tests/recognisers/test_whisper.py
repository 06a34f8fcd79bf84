import json

import pytest
import torch

from sermm.core.errors import InputError
from sermm.core.ragged import Ragged
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
    model = WhisperModel(str(whisper_folder), language="fr")
    with pytest.raises(InputError, match=r"recogniser\.language=fr: .* it knows de, en"):
        model.transcribe(noise(16000))


def test_an_english_model_takes_no_other_language(english_whisper_folder):
    assert WhisperModel(str(english_whisper_folder)).transcribe(noise(16000))[0]
    with pytest.raises(InputError, match="knows English only"):
        WhisperModel(str(english_whisper_folder), language="de").transcribe(noise(16000))


@pytest.mark.parametrize("options", [{"task": "sing"}, {"beams": 0}, {"max_tokens": 0}])
def test_options_out_of_range(whisper_folder, options):
    with pytest.raises(InputError, match=rf"recogniser\.{next(iter(options))}="):
        WhisperModel(str(whisper_folder), **options)
