"""Audio is decoded to its end, whatever its header says of it."""

import os
import struct

import numpy as np
import pytest
import soundfile
import torch

from sermm.data.audio import AudioError, hear, load, measure
from sermm.data.augment.noise import length_s

RATE = 16000
# Frames of MP3 at 16 kHz, and what an encoder puts before and behind the sound.
FRAME, PADDING = 576, 4 * 576


def speech(seconds=4.0, rate=RATE):
    """Quiet first, so that the first frames of a variable rate are the smallest."""
    rng = np.random.default_rng(0)
    loud = np.linspace(0, 0.3, round(rate * seconds)) * (rng.random(round(rate * seconds)) - 0.5)
    return loud.astype("float32")


def written(path, form, subtype=None, samples=None, **kwargs):
    samples = speech() if samples is None else samples
    soundfile.write(path, samples, RATE, format=form, subtype=subtype, **kwargs)
    return path


def without_its_tag(path):
    """Takes the first frame of an MP3 file away, in which the number of frames stands."""
    content = path.read_bytes()
    path.write_bytes(content[content.index(content[:2], 4) :])
    return path


def patched(path, key, form, value, shift=4):
    content = bytearray(path.read_bytes())
    place = content.index(key) + shift
    content[place : place + struct.calcsize(form)] = struct.pack(form, value)
    path.write_bytes(content)
    return path


def kind_of(path, *span):
    with pytest.raises(AudioError) as caught:
        measure(path, *span)
    return caught.value.kind


@pytest.mark.parametrize("mode", ["CONSTANT", "AVERAGE", "VARIABLE"])
@pytest.mark.parametrize("seconds", [0.4, 4.0])
def test_mp3_without_a_length_is_decoded_to_its_end(tmp_path, mode, seconds):
    path = written(tmp_path / "a.mp3", "MP3", samples=speech(seconds), bitrate_mode=mode)
    assert measure(path).seconds == seconds
    without_its_tag(path)
    found = measure(path).seconds
    assert 0 <= found - seconds <= PADDING / RATE
    whole = load(path)
    assert len(whole) == round(found * RATE)
    torch.testing.assert_close(load(path, 0.1, 0.3), whole[1600:4800])
    torch.testing.assert_close(load(path, 0.1, None), whole[1600:])
    assert hear(path, 0.25)[1:3] == (found, 0.25)
    assert kind_of(path, 0.1, found + 0.1) == "span_outside"
    assert kind_of(path, found + 1.0, found + 2.0) == "span_outside"


def test_tags_before_and_behind_mp3_are_no_sound(tmp_path):
    path = without_its_tag(written(tmp_path / "a.mp3", "MP3"))
    plain = measure(path)
    id3 = b"ID3\4\0\0\0\0\10\0" + bytes(1024)
    ape = bytes(3000) + b"APETAGEX" + struct.pack("<II", 2000, 3032) + bytes(16)
    path.write_bytes(2 * id3 + path.read_bytes() + ape + b"TAG" + bytes(125))
    assert measure(path) == plain


@pytest.mark.parametrize("tagged", [True, False])
def test_mp3_files_laid_end_to_end_are_both_heard(tmp_path, tagged):
    first = written(tmp_path / "a.mp3", "MP3")
    second = written(tmp_path / "b.mp3", "MP3", samples=speech(2.0)).read_bytes()
    if not tagged:
        without_its_tag(first)
    first.write_bytes(first.read_bytes() + second)
    assert 6.0 <= measure(first).seconds <= 6.0 + 3 * PADDING / RATE


def test_mp3_inside_wav(tmp_path):
    frames = without_its_tag(written(tmp_path / "a.mp3", "MP3")).read_bytes()
    form = struct.pack("<HHIIHHHHIHHH", 0x55, 1, RATE, 4000, 1, 0, 12, 1, 2, 144, 1, 1393)
    chunks = [(b"fmt ", form), (b"data", frames), (b"LIST", bytes(4000))]
    body = b"".join(name + struct.pack("<I", len(chunk)) + chunk for name, chunk in chunks)
    path = tmp_path / "a.wav"
    path.write_bytes(b"RIFF" + struct.pack("<I", 4 + len(body)) + b"WAVE" + body)
    assert measure(path).seconds == measure(tmp_path / "a.mp3").seconds


@pytest.mark.parametrize("subtype", ["GSM610", "G721_32", "NMS_ADPCM_32", "IMA_ADPCM", "MS_ADPCM"])
def test_codecs_of_blocks_in_wav_are_whole(tmp_path, subtype):
    path = written(tmp_path / "a.wav", "WAV", subtype)
    whole = load(path)
    assert 0 <= len(whole) / RATE - 4.0 < 0.1
    assert measure(path).seconds == len(whole) / RATE
    assert torch.equal(load(path, 1.0, 2.5), whole[16000:40000])
    assert kind_of(path, 1.0, 5.0) == "span_outside"
    path.write_bytes(path.read_bytes()[:-500])
    assert kind_of(path) == "truncated"


@pytest.mark.parametrize("length", [0, 0x7FFFF000, 0x80000000, 0xFFFFFFFF])
@pytest.mark.parametrize(
    ("form", "subtype", "key", "number", "shift"),
    [
        ("WAV", "PCM_16", b"data", "<I", 4),
        ("WAV", "FLOAT", b"data", "<I", 4),
        ("AIFF", "PCM_16", b"SSND", ">I", 4),
        ("AU", "PCM_16", b".snd", ">I", 8),
    ],
)
def test_a_length_that_was_never_filled_in(tmp_path, form, subtype, key, number, shift, length):
    path = written(tmp_path / "a", form, subtype)
    whole = load(path)
    patched(path, key, number, length, shift)
    assert torch.equal(load(path), whole)
    assert torch.equal(load(path, 1.0, 2.0), whole[16000:32000])


def test_no_length_and_no_samples(tmp_path):
    path = written(tmp_path / "a.wav", "WAV", "PCM_16", np.zeros(0))
    assert kind_of(path) == "empty"
    # What follows is no sound, but a note.
    path.write_bytes(path.read_bytes() + b"LIST" + struct.pack("<I", 6) + b"INFOxy")
    assert kind_of(path) == "empty"


def test_flac_from_a_pipe_has_no_length(tmp_path):
    path = written(tmp_path / "a.flac", "FLAC", "PCM_16")
    whole = load(path)
    content = bytearray(path.read_bytes())
    content[22:26] = bytes(4)
    path.write_bytes(content)
    assert torch.equal(load(path), whole)
    assert torch.equal(load(path, 1.0, 2.0), whole[16000:32000])
    assert kind_of(path, 3.0, 5.0) == "span_outside"
    path.write_bytes(content[: len(content) // 2])
    assert kind_of(path) == "truncated"


@pytest.mark.parametrize(
    ("form", "subtype"),
    [
        ("RF64", "PCM_16"),
        ("AU", "PCM_16"),
        ("NIST", "PCM_16"),
        ("NIST", "ULAW"),
        ("OGG", "VORBIS"),
        ("OGG", "OPUS"),
        ("MP3", None),
    ],
)
def test_what_is_cut_short_is_refused(tmp_path, form, subtype):
    path = written(tmp_path / "a", form, subtype)
    assert measure(path).seconds == 4.0
    path.write_bytes(path.read_bytes()[: path.stat().st_size * 6 // 10])
    assert kind_of(path) == "truncated"


def test_ogg_files_laid_end_to_end_are_refused(tmp_path):
    path = written(tmp_path / "a.ogg", "OGG", "VORBIS")
    other = patched(written(tmp_path / "b.ogg", "OGG", "VORBIS"), b"OggS", "<I", 7, 14)
    last = other.read_bytes().rindex(b"OggS")
    content = bytearray(other.read_bytes())
    content[last + 14 : last + 18] = struct.pack("<I", 7)
    path.write_bytes(path.read_bytes() + content)
    with pytest.raises(AudioError, match="several recordings lie in it end to end"):
        measure(path)


def test_what_is_no_file_is_named_for_what_it_is(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    for path, why in (
        (tmp_path, "it is a folder"),
        (tmp_path / "pipe", "it is a pipe or a device"),
        (tmp_path / ("a" * 300), "no file has such a long name"),
    ):
        with pytest.raises(AudioError, match=why) as caught:
            load(path)
        assert caught.value.kind == "unreadable"


def test_noise_is_as_long_as_it_sounds(tmp_path):
    path = without_its_tag(written(tmp_path / "a.mp3", "MP3"))
    assert length_s(path) == measure(path).seconds
    assert length_s(written(tmp_path / "a.wav", "WAV", "PCM_16")) == 4.0
