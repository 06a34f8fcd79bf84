"""What is said of silence, clipping and the like."""

import numpy as np
import pytest
import soundfile
import torch

from sermm.data.audio import AudioError, hear, load, measure

RATE = 16000
TONE = (0.4 * np.sin(np.arange(2 * RATE) / 9)).astype("float32")
DRAWN = np.random.default_rng(0)


def stereo(first, second):
    return np.stack([first, second], axis=1)


CASES = {
    "a tone": (TONE, ()),
    "two channels": (stereo(TONE, DRAWN.uniform(-0.4, 0.4, len(TONE))), ()),
    "one channel silent": (stereo(TONE, 0 * TONE), ()),
    "quiet": (TONE / 1000, ()),
    "peaks at full scale": (np.where(np.arange(len(TONE)) % 5000 == 0, 1.0, TONE), ()),
    "floats above full scale": (3 * TONE, ("clipped",)),
    "zeros": (0 * TONE, ("silent",)),
    "a constant": (0 * TONE + 0.3, ("silent",)),
    "a step up and down": (np.sign(TONE) / 32768, ("silent",)),
    "opposite phase": (stereo(TONE, -TONE), ("channels_cancel",)),
    "nearly opposite phase": (stereo(TONE, -0.9 * TONE), ("channels_cancel",)),
    "clipped": (np.clip(4 * TONE, -1, 1), ("clipped",)),
    "clipped in one channel": (stereo(0.1 * TONE, np.clip(4 * TONE, -1, 1)), ("clipped",)),
    "off zero": (TONE + 0.1, ("dc_offset",)),
    "off zero, downwards": (TONE / 4 - 0.1, ("dc_offset",)),
    "loud": (9 * TONE, ("too_loud",)),
}


@pytest.mark.parametrize("case", CASES)
def test_flaws_are_named_and_the_sound_stays_as_it_is(tmp_path, case):
    samples, kinds = CASES[case]
    path = tmp_path / "a.wav"
    soundfile.write(path, samples, RATE, subtype="FLOAT")
    found = measure(path)
    assert tuple(flaw.kind for flaw in found.flaws) == kinds
    assert all(flaw.what.startswith(f"{path}: ") for flaw in found.flaws)
    heard = hear(path, 15.0)
    assert heard.flaws == found.flaws
    assert torch.equal(heard.waveform, load(path))


def test_integers_written_as_floats_are_refused(tmp_path):
    path = tmp_path / "a.wav"
    soundfile.write(path, 32768 * TONE, RATE, subtype="FLOAT")
    for listen in (measure, lambda path: hear(path, 15.0)):
        with pytest.raises(AudioError, match="Divide them by their full scale") as caught:
            listen(path)
        assert caught.value.kind == "out_of_range"


def test_only_the_span_counts_and_only_what_is_heard(tmp_path):
    path = tmp_path / "a.wav"
    soundfile.write(path, np.concatenate([0 * TONE, TONE]), RATE)
    assert [flaw.kind for flaw in measure(path, 0.0, 2.0).flaws] == ["silent"]
    assert measure(path, 1.0, 3.0).flaws == ()
    assert [flaw.kind for flaw in hear(path, 2.0).flaws] == ["silent"]
    assert hear(path, 3.0).flaws == ()
    assert hear(path, None).flaws == ()
    assert hear(path, None).used_seconds == hear(path, None).seconds


def test_a_long_file_is_judged_as_a_whole(tmp_path):
    path = tmp_path / "a.wav"
    soundfile.write(path, np.concatenate([np.zeros(40 * RATE), TONE]), RATE)
    assert measure(path).flaws == ()
    soundfile.write(path, np.zeros(70 * RATE), RATE)
    assert [flaw.kind for flaw in measure(path).flaws] == ["silent"]
