"""Figures by hand, tokens joined to words, energy by position, and what is drawn."""

import io
import math
import re
import shutil
import sys
from types import SimpleNamespace

import numpy as np
import pytest
import soundfile
import torch
from matplotlib.figure import Figure
from omegaconf import OmegaConf

from sermm.configuration.compose import conf_dir
from sermm.core.batch import Batch
from sermm.core.errors import InputError
from sermm.core.ragged import Ragged
from sermm.core.records import Fold
from sermm.encoders.base import Piece
from sermm.encoders.normalised import Normalised
from sermm.encoders.segments import Segments
from sermm.encoders.spectral.encoder import SpectralEncoder
from sermm.encoders.stored import Stored
from sermm.encoders.words import Words
from sermm.explain.axes import Axis, axis_of
from sermm.explain.explainable import explainable, shows
from sermm.explain.measures import (
    band,
    cross,
    lexicon,
    relevance,
    sharpness,
    top_quartile,
)
from sermm.explain.page import wav_of
from sermm.explain.sheet import name_down
from sermm.explain.sound import sound_of
from sermm.explain.strips import cells
from sermm.explain.subject import _as_folder, part_of
from sermm.explain.words import Word, negative_words, words_of
from sermm.models.late_fusion import LateFusion

# Three frames, two tokens.
ALPHA = np.array([[1.0, 0.0], [0.5, 0.5], [0.75, 0.25]])
PIECES = [Piece("[CLS]"), Piece("No", (0, 2)), Piece("!", (2, 3))]
# f of the row 3/4, 1/4: 1 - (2 ln 2 - 3/4 ln 3) / ln 2.
SHARP = 1 - (2 * math.log(2) - 0.75 * math.log(3)) / math.log(2)


def test_relevance_is_the_mean_over_time_relative_to_the_largest():
    # Means 0.75 and 0.25.
    np.testing.assert_allclose(relevance(ALPHA), [1, 1 / 3])


def test_relevance_without_frames_or_tokens():
    assert np.isnan(relevance(np.zeros((0, 2)))).all()
    assert relevance(np.zeros((3, 0))).shape == (0,)


def test_sharpness_is_one_less_the_entropy_in_units_of_the_largest():
    np.testing.assert_allclose(sharpness(ALPHA), [1, 0, SHARP], atol=1e-12)
    # Two of four tokens alike: H = ln 2, log L = 2 ln 2.
    np.testing.assert_allclose(sharpness(np.array([[0.5, 0.5, 0, 0]])), [0.5])


@pytest.mark.parametrize("length", [0, 1])
def test_sharpness_needs_two_tokens(length):
    alpha = np.ones((3, length))
    assert np.isnan(sharpness(alpha)).all()
    measure = band(alpha, np.array([0.1, 0.2, 0.3]))
    assert measure.value is None
    assert f"here are {length}" in measure.basis


def test_band_is_the_mean_sharpness_of_the_top_quartile():
    # The upper quartile of 0.1, 0.6, 0.7 is 0.65: only the last frame is above.
    measure = band(ALPHA, np.array([0.1, 0.6, 0.7]))
    assert measure.value == pytest.approx(SHARP)
    assert "1 of 3 positions" in measure.basis
    assert measure.paper == 0.67


def test_silent_frames_have_no_share_and_are_not_counted():
    share = np.array([np.nan, 0.2, 0.4])
    # The upper quartile of 0.2, 0.4 is 0.35.
    assert top_quartile(share).tolist() == [False, False, True]
    assert "silent" in band(ALPHA, np.full(3, np.nan)).basis
    assert "same everywhere" in band(ALPHA, np.full(3, 0.3)).basis


def test_lexicon_is_the_mean_relevance_of_the_negative_words():
    words = [Word("so", (0,)), Word("unbearable", (1, 2)), Word("no", (3,)), Word("hate", ())]
    looked_at = np.array([1.0, 0.2, 0.6, 0.8])
    measure = lexicon(looked_at, words, {"unbearable", "no", "hate"})
    # unbearable: (0.2 + 0.6) / 2; hate was cut off.
    assert measure.value == pytest.approx((0.4 + 0.8) / 2)
    assert measure.basis == "mean r of unbearable 0.40, no 0.80"


def test_lexicon_says_why_there_is_none():
    assert "no word is on the list" in lexicon(np.ones(1), [Word("so", (0,))], {"no"}).basis
    assert lexicon(np.ones(1), [], {"no"}).basis == "the transcript is empty"


def test_cross_is_the_correlation_of_energy_with_what_exclamation_marks_get():
    alpha = np.array([[0.6, 0.3, 0.1], [0.4, 0.4, 0.2], [0.5, 0.1, 0.4]])
    energy = np.array([1.0, 3.0, 5.0])
    # a = 0.1 0.2 0.4, mean 7/30; e - mean = -2 0 2: cov 0.6, |e| = sqrt 8, |a| = sqrt 0.14/3.
    expected = 0.6 / math.sqrt(8 * 0.14 / 3)
    assert cross(alpha, energy, PIECES).value == pytest.approx(expected)


def test_cross_adds_up_all_exclamation_marks():
    pieces = [Piece("No", (0, 2)), Piece("!", (2, 3)), Piece("!!", (3, 5))]
    # 0.3, 0.8 and 0.55 in all, a line over the energy.
    alpha = np.array([[0.7, 0.2, 0.1], [0.2, 0.0, 0.8], [0.45, 0.5, 0.05]])
    assert cross(alpha, np.array([1.0, 3.0, 2.0]), pieces).value == pytest.approx(1)


@pytest.mark.parametrize(
    ("alpha", "energy", "pieces", "why"),
    [
        (ALPHA, [1.0, 2.0, 3.0], PIECES[:2], 'no token has a "!"'),
        (np.ones((3, 3)) / 3, [1.0, 2.0, 3.0], PIECES, 'attention to "!" is constant'),
        (np.eye(3), [0.0, 0.0, 0.0], PIECES, "energy of the speech is constant"),
        (np.eye(3)[:2], [1.0, 2.0], PIECES, "a correlation needs 3 positions, here are 2"),
    ],
)
def test_cross_says_why_there_is_none(alpha, energy, pieces, why):
    measure = cross(alpha, np.array(energy), pieces)
    assert measure.value is None
    assert why in measure.basis


def test_without_times_there_is_no_energy():
    for measure in (band(ALPHA, None), cross(np.eye(3), None, PIECES)):
        assert measure.value is None
        assert "no times" in measure.basis


def test_words_are_joined_to_the_tokens_that_have_a_character_of_them():
    #                 0123456789012345
    text = "I’d hate un-do it"
    pieces = [
        Piece("[CLS]"),
        Piece("I", (0, 1)),
        Piece("’d", (1, 3)),
        Piece("ha", (4, 6)),
        Piece("te", (6, 8)),
        Piece("un-do", (9, 14)),
    ]
    assert words_of(text, pieces) == [
        Word("i'd", (1, 2)),
        Word("hate", (3, 4)),
        Word("un-do", (5,)),
        Word("it", ()),
    ]


def test_words_with_marks_are_whole():
    pieces = [Piece("नम", (0, 2)), Piece("स्ते", (2, 6)), Piece("na", (7, 9))]
    assert words_of("नमस्ते naïf", pieces) == [Word("नमस्ते", (0, 1)), Word("naïf", (2,))]


def test_the_lexicon_of_vader_from_a_valence_of_minus_one():
    negative = negative_words(None)
    # -1.0 in the lexicon, and -0.7 beside it.
    assert "paranoid" in negative
    assert "paranoiacs" not in negative
    assert {"hate", "terrible", "no"} <= negative
    assert not negative & {"love", ":(", "unbearabl"}


def test_a_list_of_ones_own(tmp_path):
    text = "Unertra\u0308glich\n\n nein \n"
    (tmp_path / "list.txt").write_text(text, encoding="utf-8")
    assert negative_words(tmp_path / "list.txt") == {"unerträglich", "nein"}
    (tmp_path / "empty.txt").write_text("\n")
    for name in ("empty.txt", "none.txt"):
        with pytest.raises(InputError, match=f"lexicon=.*{name}"):
            negative_words(tmp_path / name)


def tone(hz, seconds=0.5):
    return torch.sin(2 * math.pi * hz * torch.arange(round(16000 * seconds)) / 16000)


def test_energy_and_its_share_above_four_kilohertz():
    sound = sound_of(torch.cat([tone(1000), 0.5 * tone(6000), torch.zeros(8000)]))
    times = np.array([[0.1, 0.4], [0.6, 0.9], [1.1, 1.4]])
    energy, share = sound.at(times)
    assert share[0] == pytest.approx(0, abs=1e-6)
    assert share[1] == pytest.approx(1, abs=1e-6)
    assert np.isnan(share[2])
    assert energy[2] == 0
    # Half the amplitude is a quarter of the power.
    assert energy[1] / energy[0] == pytest.approx(0.25, rel=1e-3)


def test_a_stretch_between_two_windows_gets_the_nearest_one():
    sound = sound_of(torch.cat([tone(1000), tone(6000)]))
    _, share = sound.at(np.array([[0.101, 0.104], [0.901, 0.904]]))
    assert share == pytest.approx([0, 1], abs=1e-6)


def test_stretches_may_lie_apart_and_overlap_by_a_little():
    edges, positions = cells(np.array([[0.1, 0.3], [0.29, 0.5], [0.7, 0.8]]))
    np.testing.assert_allclose(edges, [0.1, 0.3, 0.5, 0.7, 0.8])
    assert positions.tolist() == [0, 1, -1, 2]


BATCH = Batch(("a",), units={"word": Ragged.pack([torch.tensor([[10, 50], [60, 90]])])})


@pytest.fixture
def system():
    speech = SpectralEncoder(trim_db=None, augment=False, stride=2, hidden=4, channels=0)
    words = Words()
    words.fit(["no way"])
    streams = {
        "text": words,
        "frame": speech,
        "word": Normalised(Segments(speech, "word"), "utterance"),
        "bare": SpectralEncoder(hidden=4, channels=0),
    }
    return LateFusion(streams, 2)


def test_the_axis_of_each_kind_of_stream(system):
    frame = axis_of(system, "frame", 3, BATCH, "No way", 0.07)
    np.testing.assert_allclose(frame.times, [[0, 0.02], [0.02, 0.04], [0.04, 0.06]])
    word = axis_of(system, "word", 2, BATCH, "No way", 1.0)
    np.testing.assert_allclose(word.times, [[0.1, 0.5], [0.6, 0.9]])
    text = axis_of(system, "text", 2, BATCH, "No way", 1.0)
    assert [piece.text for piece in text.pieces] == ["1", "2"]
    # It trims silence, so a position is no time.
    assert axis_of(system, "bare", 3, BATCH, "No way", 1.0).times is None
    # One gate for all of it.
    np.testing.assert_allclose(axis_of(system, "bare", 1, BATCH, "", 1.5).times, [[0, 1.5]])


def test_an_axis_that_does_not_fit_is_refused(system):
    with pytest.raises(ValueError, match="no encoder of stream 'other'"):
        axis_of(system, "other", 3, BATCH, "", 1.0)
    with pytest.raises(ValueError, match="3 positions, its tokenizer gives 2"):
        axis_of(system, "text", 3, BATCH, "No way", 1.0)


def test_of_many_tokens_the_largest_are_named():
    n = 128
    pieces = tuple(Piece(f"t{i}", (i, i + 1)) for i in range(n))
    values = np.zeros(n)
    values[[10, 11, 77]] = [0.5, 1.0, 0.7]
    axes = Figure().subplots()
    name_down(axes, Axis("text", n, pieces), {77}, values)
    labels = {label.get_text(): label.get_fontweight() for label in axes.get_yticklabels()}
    assert labels["t11"] == "normal"
    assert labels["t77"] == "bold"
    assert "t10" not in labels
    assert f"{len(labels)} of them named" in axes.get_ylabel()
    # 7 points are 0.1 inches, and 6.2 inches are all there are.
    assert 30 < len(labels) <= 6.2 / 0.1


def test_the_part_of_the_fold():
    fold = Fold(1, ("a",), ("b",), ("c",))
    assert [part_of(fold, i) for i in "abcd"] == ["train", "val", "test", None]


def test_a_folder_for_any_name():
    assert _as_folder("Ses01F_impro01_F002") == "Ses01F_impro01_F002"
    assert re.fullmatch(r"a-b-[0-9a-f]{8}", _as_folder("a/b"))
    assert _as_folder("a/b") != _as_folder("a b")
    assert not _as_folder("../../x").startswith(".")


def test_every_class_with_attention_or_a_gate_is_named_by_a_model():
    assert explainable() == [
        "caf", "cmgi", "coattention", "deberta_bilstm", "single_gate", "transformer_encoder",
    ]  # fmt: skip


class OwnAttention(LateFusion):
    """A system of somebody's own."""

    def attended(self, batch):
        return ()


def test_a_system_of_ones_own_is_named(tmp_path, monkeypatch):
    shutil.copytree(conf_dir(), tmp_path / "conf")
    own = (
        "defaults: [_streams, _self_]\nname: my_own\nsystem: {_target_: my_systems.OwnAttention}\n"
    )
    (tmp_path / "conf" / "model" / "my_own.yaml").write_text(own)
    monkeypatch.setitem(sys.modules, "my_systems", SimpleNamespace(OwnAttention=OwnAttention))
    for room in ("compose", "models"):
        monkeypatch.setattr(f"sermm.configuration.{room}.conf_dir", lambda: tmp_path / "conf")
    assert "my_own" in explainable()


def test_what_is_made_of_branches_shows_what_they_do():
    def made_of(branch):
        target = {"_target_": f"sermm.models.{branch}"}
        own = "sermm.models.late_fusion.LateFusion"
        return OmegaConf.create({"_target_": own, "branch": target})

    assert shows(made_of("transformer_branch.TransformerBranch"))
    assert not shows(made_of("branch.LinearBranch"))
    assert not shows(OmegaConf.create({"_target_": "sermm.models.concatenation.Concatenation"}))


def test_stored_streams_have_no_times():
    system = LateFusion({"frame": Stored("frame", 4, 1)}, 2)
    assert axis_of(system, "frame", 3, BATCH, "", 1.0).times is None


def test_embedded_audio_is_a_wav_of_the_utterance():
    content = wav_of(sound_of(tone(1000, 0.25)))
    samples, rate = soundfile.read(io.BytesIO(content))
    assert rate == 16000
    np.testing.assert_allclose(samples, tone(1000, 0.25).numpy(), atol=1e-4)
