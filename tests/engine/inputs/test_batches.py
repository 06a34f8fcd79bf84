"""What the batches hold: characters only for who asks, and which augmentation is refused."""

import pytest
import torch
from torch import nn

from sermm.configuration.identity import run_key
from sermm.configuration.verbs import RunConfig
from sermm.core.errors import InputError
from sermm.engine.inputs.batches import augmentation, inputs_of
from sermm.engine.training.task import varies_audio
from sermm.models.base import System

TEXTS = {"u": "Ab!", "silent": ""}


class Asking(System):
    """A system that reads what the test says."""

    def __init__(self, *needs):
        super().__init__()
        self.asked = set(needs)
        self.classifier = nn.Linear(1, 1)

    @property
    def needs(self):
        return self.asked


def plain(*words):
    tiny = ["encoder/speech=tiny", "encoder/text=tiny"]
    return RunConfig.of(["model=single_gate", *tiny, *words])


def test_characters_are_loaded_for_who_asks_for_them():
    assert inputs_of(Asking("waveform"), TEXTS, {}, {}).characters is None
    characters = inputs_of(Asking("characters"), TEXTS, {}, {}).characters
    # Space 1, apostrophe 2, a 3, b 4.
    assert {i: ids.tolist() for i, ids in characters.items()} == {"u": [3, 4], "silent": []}
    assert all(ids.dtype == torch.int64 for ids in characters.values())


def test_what_is_cut_has_no_characters_to_learn():
    found = inputs_of(Asking("characters"), {**TEXTS, "long": "ab"}, {}, {}, {"long"}).characters
    assert {i: ids.tolist() for i, ids in found.items()} == {"u": [3, 4], "silent": [], "long": []}
    assert found["long"].dtype == torch.int64


def test_augmentation_is_of_the_seed_and_none_by_default():
    assert augmentation(plain()) is None
    clip = torch.ones(1000)
    one, same, other = (augmentation(plain("augment=speech", f"seed={n}")) for n in (1, 1, 2))
    clips = [torch.cat([a(clip, e, "u") for e in range(5)]) for a in (one, same, other)]
    assert torch.equal(clips[0], clips[1])
    assert clips[0].shape != clips[2].shape or not torch.equal(clips[0], clips[2])


def test_augmentation_is_part_of_the_identity():
    keys = {
        run_key(plain(*words))
        for words in (
            [],
            ["augment=speech"],
            ["augment=speech", "augment.noise.p=0.5"],
            ["augment=speech", "augment.noise.snr_db=[0,10]"],
            ["augment=speech", "augment.speed=null"],
        )
    }
    assert len(keys) == 5
    assert run_key(plain("augment=none")) == run_key(plain())


def test_stored_features_cannot_be_augmented():
    with pytest.raises(InputError, match=r"augment varies audio .*speed.*features=cached"):
        augmentation(plain("augment=speech", "features=cached"))
    assert augmentation(plain("features=cached")) is None
    assert augmentation(plain("augment=speech", "features=frozen")) is not None


def test_speed_cannot_go_with_units_of_speech():
    words = ["model=late_fusion", "model.streams=[text,syllable]", "augment=speech"]
    with pytest.raises(InputError, match=r"augment\.speed .* late_fusion reads syllables"):
        augmentation(plain(*words))
    assert "speed" not in augmentation(plain(*words, "augment.speed=null")).settings


def test_stretching_cannot_go_with_units_of_speech_and_gives_runs_of_their_own():
    stretch = "augment.stretch={p: 1, factor: [0.9, 1.1]}"
    with pytest.raises(InputError, match=r"augment\.stretch .* late_fusion reads syllables.*=null"):
        augmentation(plain("model=late_fusion", "model.streams=[text,syllable]", stretch))
    assert varies_audio(plain(stretch).augment)
    assert run_key(plain(stretch)) != run_key(plain())
