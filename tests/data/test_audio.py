import math
import struct
import wave

import numpy as np
import pytest
import soundfile
import torch

from sermm.core.errors import InputError
from sermm.data.audio import AudioError, load, measure


def sine(rate, hz, seconds=1.0, amplitude=0.5):
    return amplitude * np.sin(2 * math.pi * hz * np.arange(round(rate * seconds)) / rate)


def loudest_hz(samples):
    spectrum = torch.fft.rfft(samples * torch.hann_window(len(samples)))
    return int(spectrum.abs().argmax()) * 16000 / len(samples)


def wav(path, samples, rate=16000, **kwargs):
    soundfile.write(path, samples, rate, **kwargs)
    return path


def kind_of(path, *span):
    with pytest.raises(AudioError, match=path.name) as caught:
        load(path, *span)
    with pytest.raises(AudioError):
        measure(path, *span)
    assert isinstance(caught.value, InputError)
    return caught.value.kind


def test_samples_of_a_16_bit_file_are_divided_by_full_scale(tmp_path):
    path = wav(tmp_path / "a.wav", np.array([0, 16384, -32768, 1], dtype=np.int16))
    samples = load(path)
    assert samples.dtype == torch.float32
    assert samples.tolist() == [0.0, 0.5, -1.0, 1 / 32768]


@pytest.mark.parametrize("ending", ["wav", "flac"])
def test_a_span_is_the_slice_of_the_whole(tmp_path, ending):
    noise = np.random.default_rng(0).uniform(-0.9, 0.9, 32000)
    path = wav(tmp_path / f"a.{ending}", noise)
    whole = load(path)
    assert torch.equal(load(path, 0.25, 1.5), whole[4000:24000])
    assert torch.equal(load(path, 1.5), whole[24000:])
    assert torch.equal(load(path, None, 0.5), whole[:8000])
    assert torch.equal(load(path, 0.25, 1.5, max_seconds=0.5), whole[4000:12000])
    assert measure(path, 0.25, 1.5).seconds == 1.25


def test_channels_are_averaged(tmp_path):
    stereo = np.stack([np.full(100, 0.5), np.full(100, -0.25)], axis=1)
    path = wav(tmp_path / "a.wav", stereo, subtype="FLOAT")
    assert load(path).tolist() == [0.125] * 100


@pytest.mark.parametrize("rate", [8000, 11025, 22050, 44100, 48000])
def test_resampling_keeps_length_frequency_and_energy(tmp_path, rate):
    both = np.stack([sine(rate, 440.0)] * 2, axis=1)
    samples = load(wav(tmp_path / "a.wav", both, rate, subtype="FLOAT"))
    assert len(samples) == 16000
    assert loudest_hz(samples) == 440.0
    assert float(samples[1000:-1000].square().mean()) == pytest.approx(0.125, rel=0.01)


def test_a_tone_above_8_khz_does_not_fold_back(tmp_path):
    samples = load(wav(tmp_path / "a.wav", sine(48000, 12000.0), 48000, subtype="FLOAT"))
    assert float(samples[1000:-1000].abs().max()) < 0.01


@pytest.mark.parametrize("rate", [44101, 15999])
def test_an_odd_rate_costs_no_gigabytes_and_little_pitch(tmp_path, rate):
    samples = load(wav(tmp_path / "a.wav", sine(rate, 1000.0), rate, subtype="FLOAT"))
    assert abs(len(samples) - 16000) <= 8
    assert abs(loudest_hz(samples) - 1000) <= 1.5


def test_max_seconds_counts_in_seconds_of_the_file(tmp_path):
    path = wav(tmp_path / "a.wav", sine(8000, 440.0, 2.0), 8000)
    assert len(load(path, 0.5, None, max_seconds=1.0)) == 16000


def test_aiff_called_wav_is_decoded_by_content(tmp_path):
    path = tmp_path / "a.wav"
    soundfile.write(path, np.full(160, 0.5), 16000, format="AIFF")
    assert path.read_bytes()[:4] == b"FORM"
    assert load(path).tolist() == [0.5] * 160


@pytest.mark.parametrize(("ending", "form"), [("wav", "WAV"), ("flac", "FLAC"), ("wav", "AIFF")])
@pytest.mark.parametrize("share", [0.99, 0.6, 0.1])
def test_truncated(tmp_path, ending, form, share):
    path = tmp_path / f"a.{ending}"
    noise = np.random.default_rng(0).uniform(-0.9, 0.9, 32000)
    soundfile.write(path, noise, 16000, format=form)
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * share)])
    assert kind_of(path) == "truncated"


def test_a_header_from_a_pipe_promises_nothing(tmp_path):
    path = wav(tmp_path / "a.wav", np.full(160, 0.5))
    content = bytearray(path.read_bytes())
    place = content.index(b"data") + 4
    content[place : place + 4] = struct.pack("<I", 0xFFFFFFFF)
    path.write_bytes(content)
    assert len(load(path)) == 160


def test_chunks_before_the_samples_are_skipped(tmp_path):
    path = wav(tmp_path / "a.wav", np.full(160, 0.5))
    content = path.read_bytes()
    place = content.index(b"data")
    note = b"junk" + struct.pack("<I", 5) + b"12345\0"
    whole = content[:place] + note + content[place:]
    path.write_bytes(whole)
    assert len(load(path)) == 160
    path.write_bytes(whole[:-2])
    assert kind_of(path) == "truncated"


def test_empty_file(tmp_path):
    path = tmp_path / "a.wav"
    path.touch()
    assert kind_of(path) == "empty"


def test_zero_samples(tmp_path):
    path = tmp_path / "a.wav"
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(16000)
    assert kind_of(path) == "empty"


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_not_finite_only_where_it_is_read(tmp_path, bad):
    samples = np.zeros(16000)
    samples[12000] = bad
    path = wav(tmp_path / "a.wav", samples, subtype="FLOAT")
    assert kind_of(path) == "not_finite"
    assert len(load(path, 0.0, 0.5)) == 8000


@pytest.mark.parametrize("span", [(1.0, 1.5), (0.5, 1.2), (0.5, 0.5), (0.6, 0.4), (-0.1, 0.5)])
def test_span_outside(tmp_path, span):
    assert kind_of(wav(tmp_path / "a.wav", np.zeros(16000)), *span) == "span_outside"


def test_a_span_may_end_a_rounding_error_after_the_file(tmp_path):
    path = wav(tmp_path / "a.wav", np.zeros(16000))
    assert len(load(path, 0.5, 1.04)) == 8000
    assert measure(path, 0.5, 1.04).seconds == 0.5


def test_missing_and_no_audio(tmp_path):
    assert kind_of(tmp_path / "a.wav") == "missing_file"
    text = tmp_path / "b.wav"
    text.write_text("this is no audio at all, but long enough for a header or two")
    assert kind_of(text) == "not_audio"
    assert kind_of(tmp_path) == "unreadable"


def test_a_long_file_is_measured_in_blocks(tmp_path, monkeypatch):
    path = wav(tmp_path / "a.wav", np.zeros(65 * 8000), 8000)
    sizes = []
    read = soundfile.SoundFile.read
    monkeypatch.setattr(
        soundfile.SoundFile, "read", lambda f, n, **k: sizes.append(n) or read(f, n, **k)
    )
    assert measure(path).seconds == 65.0
    # The last one asks whether more is there than the header says.
    assert sizes == [240000, 240000, 40000, 1]


def test_flac_cut_so_short_that_no_frame_is_whole(tmp_path):
    path = tmp_path / "a.flac"
    soundfile.write(path, np.random.default_rng(0).uniform(-0.9, 0.9, 32000), 16000)
    path.write_bytes(path.read_bytes()[:3000])
    assert kind_of(path, 0.5, 1.0) == "truncated"
    assert kind_of(path) == "truncated"
