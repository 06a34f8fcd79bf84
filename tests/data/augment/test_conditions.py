import math

import numpy as np
import pytest
import soundfile
import torch

from sermm.configuration.conditions import Condition
from sermm.core.errors import InputError
from sermm.core.records import Utterance
from sermm.data.augment.conditions import Babble, Band
from sermm.engine.inputs.conditions import heard_under

RATE = 16000


def tone(hz, seconds=1.0):
    return 0.5 * torch.sin(2 * math.pi * hz * torch.arange(round(RATE * seconds)) / RATE)


@pytest.fixture
def clips(tmp_path):
    """Talker a says 300 and 350 Hz, b 1000, c 2000, d 3000 Hz, in stretches of unlike length."""
    found = []
    for n, (talker, hz) in enumerate(
        [("a", 300), ("a", 350), ("b", 1000), ("c", 2000), ("d", 3000)]
    ):
        soundfile.write(tmp_path / f"{n}.wav", (1 + n) / 10 * tone(hz, 0.3 + n / 10).numpy(), RATE)
        found.append(Utterance(f"u{n}", "x", tmp_path / f"{n}.wav", "ang", talker))
    return tuple(found)


def power_at(waveform, hz):
    spectrum = torch.fft.rfft(waveform * torch.hann_window(len(waveform))).abs()
    near = round(hz * len(waveform) / RATE)
    return float(spectrum[near - 3 : near + 4].max())


def test_a_band_ends_where_it_is_said_to():
    clip = tone(1000) + tone(6000)
    found = Band(1.0, 4000.0).vary(clip, np.random.default_rng(0))
    torch.testing.assert_close(found, tone(1000), atol=2e-3, rtol=0)
    for n in (1, 2, 511):
        assert Band(1.0, 4000.0).vary(torch.ones(n), np.random.default_rng(0)).shape == (n,)


@pytest.mark.parametrize("snr_db", [0.0, 10.0])
@pytest.mark.parametrize("kind", ["noise", "babble"])
def test_noise_and_babble_have_their_snr(kind, snr_db, clips):
    heard = heard_under(Condition.of(f"{kind}:{snr_db}"), clips, seed=0)
    clip = tone(500)
    noise = heard(clip, 0, "u0") - clip
    ratio = float(clip.square().sum() / noise.square().sum())
    assert 10 * math.log10(ratio) == pytest.approx(snr_db, abs=0.05)


def test_babble_is_of_other_talkers_equally_loud(clips):
    babble = Babble(1.0, (0.0, 0.0), clips=clips).of_clip("u0")
    heard = babble.vary(torch.ones(RATE), np.random.default_rng(0)) - 1
    levels = [power_at(heard, hz) for hz in (1000, 2000, 3000)]
    assert max(levels) < 1.3 * min(levels)
    assert max(power_at(heard, 300), power_at(heard, 350)) < 0.01 * min(levels)
    # Of one talker alone his other clips.
    alone = Babble(1.0, (0.0, 0.0), clips=clips[:2]).of_clip("u0")
    assert [u.id for u in alone.clips] == ["u1"]
    with pytest.raises(InputError, match=r"other utterances of the part.*u0 only"):
        Babble(1.0, (0.0, 0.0), clips=clips[:1]).of_clip("u0")


@pytest.mark.parametrize("kind", ["noise", "babble"])
def test_what_is_drawn_follows_from_seed_and_utterance_and_is_the_same_at_every_snr(kind, clips):
    def noise(db, utterance="u0", seed=0):
        clip = tone(500)
        return heard_under(Condition.of(f"{kind}:{db}"), clips, seed)(clip, 0, utterance) - clip

    assert torch.equal(noise(10), noise(10))
    torch.testing.assert_close(noise(0), math.sqrt(10) * noise(10), rtol=1e-3, atol=1e-5)
    assert not torch.allclose(noise(10), noise(10, "u2"), atol=1e-3)
    assert not torch.allclose(noise(10), noise(10, seed=1), atol=1e-3)


@pytest.mark.parametrize("word", ["clean", "human", "asr:x"])
def test_what_changes_no_sound_leaves_it_as_it_is(word):
    assert heard_under(Condition.of(word), (), 0) is None
