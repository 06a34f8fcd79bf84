import math

import numpy as np
import pytest
import soundfile
import torch

from sermm.configuration.groups import AugmentConfig
from sermm.configuration.verbs import RunConfig
from sermm.core.errors import InputError
from sermm.core.seeding import generator
from sermm.data.audio import AudioError
from sermm.data.augment.augment import OF_WORDS
from sermm.data.augment.kinds import Gain, Mask, Pitch, Speed
from sermm.data.augment.noise import Noise, recordings
from sermm.data.augment.stretch import stretched
from sermm.engine.inputs.batches import augment_of

RATE = 16000
NONE = RunConfig.of([]).augment.model_dump()
SPEECH = RunConfig.of(["augment=speech"]).augment.model_dump()


def augmented(settings, seed):
    return augment_of(AugmentConfig.read({**NONE, **settings}, "augment"), seed)


def tone(hz, seconds):
    t = torch.arange(round(RATE * seconds)) / RATE
    return 0.5 * torch.sin(2 * math.pi * hz * t)


def loudest_hz(waveform):
    spectrum = torch.fft.rfft(waveform * torch.hann_window(len(waveform))).abs()
    return float(spectrum.argmax()) * RATE / len(waveform)


def draw(seed=0):
    return np.random.default_rng(seed)


def always(kind, **settings):
    return augmented({kind: {"p": 1, **settings}}, seed=0)


@pytest.mark.parametrize(
    ("factor", "samples", "hz"), [(1.25, 12800, 500), (0.8, 20000, 320), (1.0, 16000, 400)]
)
def test_speed_moves_length_and_pitch(factor, samples, hz):
    found = Speed(1.0, (factor, factor)).vary(tone(400, 1.0), draw())
    assert len(found) == samples
    assert loudest_hz(found) == pytest.approx(hz, abs=2)
    assert found[4000:8000].abs().max() == pytest.approx(0.5, abs=0.01)


def test_the_length_of_speed_and_the_longest_it_can_make():
    # 0.93 on the grid of 1 %: of 1001 samples ceil(100100 / 93) are left.
    assert len(Speed(1.0, (0.93, 0.93)).vary(torch.randn(1001), draw())) == 1077
    assert Speed(1.0, (0.8, 1.1)).longest == pytest.approx(1.25)
    assert Speed(1.0, (1.1, 1.2)).longest == 1.0
    assert augmented(SPEECH, 0).longest == pytest.approx(1 / 0.9)


@pytest.mark.parametrize(("semitones", "hz"), [(12.0, 800), (-12.0, 200), (2.0, 448), (0.0, 400)])
def test_pitch_moves_pitch_and_not_length(semitones, hz):
    # 2 ** (2 / 12) is 1.12 on the grid of 1 %.
    clip = tone(400, 1.0)
    found = Pitch(1.0, (semitones, semitones)).vary(clip, draw())
    assert len(found) == len(clip)
    assert loudest_hz(found) == pytest.approx(hz, abs=3)
    assert (semitones == 0) == torch.equal(found, clip)


def test_stretching_keeps_loudness_and_by_nothing_changes_nothing():
    # Voiced speech in short: a pulse every 8 ms, rung by a resonance, now louder and now softer.
    pulses = torch.zeros(RATE)
    pulses[::128] = 1
    ringing = tone(700, 0.02) * torch.linspace(1, 0, 320)
    voice = torch.nn.functional.conv1d(pulses[None, None], ringing[None, None], padding=319)[0, 0]
    voice = voice * (1.2 + tone(3, len(voice) / RATE))
    rustle = torch.randn(5000, generator=torch.Generator().manual_seed(0))
    assert torch.allclose(stretched(rustle, 1.0), rustle, atol=1e-5)
    for factor in (0.8, 0.94, 1.06, 1.25):
        found = stretched(voice, factor)
        assert len(found) == round(factor * len(voice))
        assert found.std() == pytest.approx(float(voice.std()), rel=0.05)


@pytest.mark.parametrize(("factor", "samples"), [(1.25, 20000), (0.8, 12800), (1.0, 16000)])
def test_stretch_moves_length_and_not_pitch(factor, samples):
    found = always("stretch", factor=[factor, factor])(tone(400, 1.0), 0, "u")
    assert len(found) == samples
    assert loudest_hz(found) == pytest.approx(400, abs=2)
    assert found[4000:8000].abs().max() == pytest.approx(0.5, abs=0.01)


def test_the_longest_that_stretch_can_make():
    assert always("stretch", factor=[0.8, 1.2]).longest == 1.2
    assert always("stretch", factor=[0.8, 0.9]).longest == 1.0


def test_pitch_leaves_what_is_said_when():
    clip = torch.zeros(RATE)
    clip[8000:12000] = tone(400, 0.25)
    found = Pitch(1.0, (2.0, 2.0)).vary(clip, draw()).abs() > 0.1
    first, last = found.nonzero()[[0, -1]].flatten().tolist()
    assert first == pytest.approx(8000, abs=500)
    assert last == pytest.approx(12000, abs=500)


@pytest.mark.parametrize("length", [1, 50, 511])
@pytest.mark.parametrize("kind", ["speed", "stretch", "pitch", "noise", "gain", "mask"])
def test_a_few_samples_and_silence_stay_finite(kind, length):
    settings = {**SPEECH, "stretch": {"factor": [0.9, 1.1]}}
    augment = augmented({kind: {**settings[kind], "p": 1}}, 0)
    for clip in (torch.zeros(length), torch.ones(length)):
        found = augment(clip, 0, "u")
        assert len(found)
        assert found.isfinite().all()
    assert not augment(torch.zeros(length), 0, "u").any()


@pytest.mark.parametrize("snr_db", [0.0, 10.0, 30.0])
def test_white_noise_has_the_snr(snr_db):
    clip = tone(400, 1.0)
    noise = Noise(1.0, (snr_db, snr_db)).vary(clip, draw()) - clip
    ratio = clip.square().sum() / noise.square().sum()
    assert 10 * math.log10(ratio) == pytest.approx(snr_db, abs=0.01)
    # White: neighbours have nothing to do with each other.
    assert abs((noise[1:] * noise[:-1]).mean() / noise.square().mean()) < 0.05


def test_noise_from_files_is_theirs_at_their_rate_and_again_from_the_start(tmp_path):
    (tmp_path / "street").mkdir()
    t = np.arange(2000) / 8000
    soundfile.write(tmp_path / "street/hum.wav", 0.2 * np.sin(2 * np.pi * 1000 * t), 8000)
    (tmp_path / "notes.txt").write_text("no noise")
    noise = Noise(1.0, (0.0, 0.0), recordings(tmp_path))
    clip = tone(400, 1.0)
    found = noise.vary(clip, draw()) - clip
    # A quarter of a second, four times.
    assert loudest_hz(found) == pytest.approx(1000, abs=4)
    assert torch.allclose(found[:4000], found[4000:8000], atol=1e-6)
    assert found.square().sum() == pytest.approx(float(clip.square().sum()), rel=1e-3)


def test_stretches_of_long_noise_differ_and_silent_noise_changes_nothing(tmp_path):
    soundfile.write(tmp_path / "a.wav", np.linspace(0.1, 0.9, RATE), RATE)
    noise = Noise(1.0, (0.0, 0.0), recordings(tmp_path))
    clip = torch.ones(1600)
    slopes = {
        round(float(n[-1] / n[0]), 3) for n in (noise.vary(clip, draw(i)) - 1 for i in range(5))
    }
    assert len(slopes) == 5
    soundfile.write(tmp_path / "b.wav", np.zeros(RATE), RATE)
    silent = Noise(1.0, (0.0, 0.0), (tmp_path / "b.wav",))
    assert torch.equal(silent.vary(clip, draw()), clip)


def test_files_come_in_the_same_order_wherever_they_lie(tmp_path):
    for root in ("x", "y"):
        for name in ("b/1.wav", "a/2.WAV", "c.flac"):
            path = tmp_path / root / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch()
    one, other = (
        [p.relative_to(tmp_path / root).as_posix() for p in recordings(tmp_path / root)]
        for root in ("x", "y")
    )
    assert one == other == ["a/2.WAV", "b/1.wav", "c.flac"]


def test_a_noise_file_that_cannot_be_read_is_named(tmp_path):
    (tmp_path / "bad.wav").write_text("nothing")
    augment = always("noise", snr_db=[0, 10], root=str(tmp_path))
    with pytest.raises(AudioError, match=r"bad\.wav: .*take it out of augment\.noise\.root"):
        augment(torch.ones(100), 0, "u")


def test_gain_by_hand():
    clip = torch.tensor([0.5, -0.9])
    assert torch.allclose(Gain(1.0, (20.0, 20.0)).vary(clip, draw()), 10 * clip)
    found = [float(Gain(1.0, (-6.0, 6.0)).vary(clip, draw(i))[0]) / 0.5 for i in range(200)]
    assert 0.501 < min(found) < 0.55 < 1.8 < max(found) < 1.9953


def test_masks_silence_stretches():
    once = Mask(1.0, (0.1, 0.1), 1).vary(torch.ones(1000), draw())
    gap = (once == 0).nonzero().flatten()
    assert len(gap) == 100
    assert gap[-1] - gap[0] == 99
    starts = {
        int((Mask(1.0, (0.1, 0.1), 1).vary(torch.ones(99), draw(i)) == 0).nonzero()[0])
        for i in range(300)
    }
    # Of 99 samples 9 are silenced, from any place: the first or the last ones too.
    assert min(starts) == 0
    assert max(starts) == 90
    most = [
        int((Mask(1.0, (0.0, 0.1), 3).vary(torch.ones(100), draw(i)) == 0).sum()) for i in range(50)
    ]
    assert 20 < max(most) <= 30


def test_what_a_clip_gets_follows_from_names_alone():
    augment, twin = augmented(SPEECH, 5), augmented(SPEECH, 5)
    clip = tone(300, 0.4)
    before = torch.get_rng_state()
    found = {(e, i): augment(clip, e, i) for e in range(4) for i in ("a", "b", "c")}
    assert torch.equal(torch.get_rng_state(), before)
    for (epoch, utterance), varied in reversed(found.items()):
        assert torch.equal(twin(clip, epoch, utterance), varied)
    assert len({tuple(v[:50].tolist()) for v in found.values()}) > 8
    other = augmented(SPEECH, 6)
    assert any(not torch.equal(other(clip, e, i), v) for (e, i), v in found.items())
    assert torch.equal(clip, tone(300, 0.4))


def test_a_kind_that_is_off_changes_nothing_for_the_others():
    settings = {
        "gain": {"p": 0.5, "db": [-6, 6]},
        "mask": {"p": 0.5, "share": [0, 0.1], "times": 1},
    }
    both, alone = augmented(settings, 0), augmented({**settings, "mask": None}, 0)
    clip = torch.ones(1000)
    for epoch in range(20):
        # What is not silenced has the same loudness.
        assert both(clip, epoch, "u").max() == alone(clip, epoch, "u").max()


def test_p_is_how_often():
    augment = augmented({"gain": {"p": 0.3, "db": [1, 2]}}, 0)
    clip = torch.ones(1)
    varied = sum(bool(augment(clip, 0, str(n)) != 1) for n in range(2000))
    # Within four standard deviations of 600.
    assert abs(varied - 600) < 82
    assert augmented({"gain": {"p": 0, "db": [1, 2]}}, 0)(clip, 0, "u") == 1


def test_kinds_come_in_one_order_and_are_drawn_apart():
    # Noise under louder speech is as much louder: at 0 dB it has the energy of the speech.
    augment = augmented(
        {
            "gain": {"p": 1, "db": [20, 20]},
            "noise": {"p": 1, "snr_db": [0, 0], "root": None},
        },
        0,
    )
    clip = tone(400, 0.5)
    assert augment(clip, 0, "u").square().sum() == pytest.approx(
        200 * float(clip.square().sum()), rel=0.1
    )
    own = Noise(1.0, (0.0, 0.0))
    drawn = generator(0, "augment", 0, "u", "noise")
    drawn.uniform()
    assert torch.allclose(augment(clip, 0, "u"), 10 * own.vary(clip, drawn), rtol=1e-5, atol=1e-6)


def test_shipped_settings():
    assert dict.fromkeys(SPEECH) == NONE
    assert OF_WORDS in NONE
    assert not augmented(NONE, 0).settings
    some = augmented({**SPEECH, "pitch": None, "speed": None, "mask": None}, 0)
    assert list(some.settings) == ["noise", "gain"]
    assert str(some) == "noise (p 0.3, snr_db [10, 30], root None), gain (p 0.3, db [-6, 6])"


def test_one_kind_from_the_command_line():
    word = "augment.noise={p: 0.5, snr_db: [10, 30], root: null}"
    augment = augment_of(RunConfig.of([word]).augment, 0)
    assert augment.settings == {"noise": {"p": 0.5, "snr_db": [10, 30], "root": None}}


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (
            {"echo": {"p": 1}},
            "augment.echo: there is no such key; known are gain, mask",
        ),
        ({"gain": {"p": 1.5, "db": [0, 1]}}, r"augment.gain.p=1.5: expected a number from 0 to 1"),
        (
            {"gain": {"p": "often", "db": [0, 1]}},
            "augment.gain.p=often: expected a number",
        ),
        ({"gain": {"p": 0.5}}, "augment.gain.db is missing"),
        ({"gain": {"p": 0.5, "db": 3}}, r"augment.gain.db=3: expected \[lowest, highest\]"),
        ({"gain": {"p": 0.5, "db": [3, 1]}}, r"augment.gain.db=\[3, 1\]: expected \[lowest, high"),
        ({"speed": {"p": 0.5, "factor": [0, 1]}}, "within 0.5 to 2"),
        ({"stretch": {"p": 0.5, "factor": [0.9, 3]}}, r"stretch.factor=\[0.9, 3\]: expected"),
        ({"mask": {"p": 0.5, "share": [0, 0.1], "times": 0.5}}, "times=0.5: expected a whole"),
        ({"noise": {"p": 1, "snr_db": [0, 1], "root": "/nowhere"}}, "root=/nowhere: expected a fo"),
    ],
)
def test_wrong_settings_are_named(settings, message):
    with pytest.raises(InputError, match=message):
        augmented(settings, 0)
