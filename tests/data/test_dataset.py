import numpy as np
import pytest
import soundfile
import torch

from sermm.core.records import Utterance
from sermm.data import dataset as module
from sermm.data.audio import AudioError
from sermm.data.augment.augment import Augment
from sermm.data.augment.kinds import Gain, Speed
from sermm.data.batching import PlannedBatch
from sermm.data.characters import ALPHABET, N_CHARACTERS, spelled
from sermm.data.dataset import Inputs, KeptAudio, StoredStream, UtteranceDataset
from sermm.store.features import FeatureStore


def augmented(kinds, seed):
    return Augment(kinds, seed, {kind: {} for kind in kinds})


def utterance(path, name="u1"):
    return Utterance(name, "mini", path, "ang", "s1")


def ramp(path, n=100, **kwargs):
    soundfile.write(path, np.linspace(-1, 0.999, n), 16000, **kwargs)
    return path


def test_a_batch_lies_end_to_end(tmp_path):
    utterances = [utterance(ramp(tmp_path / f"{n}.wav", n), f"u{n}") for n in (3, 5)]
    tokens = {"u3": torch.tensor([7, 8]), "u5": torch.zeros(0, dtype=torch.int64)}
    inputs = Inputs(waveform=True, tokens=tokens)
    data = UtteranceDataset(utterances, inputs, labels={"u3": 1, "u5": 0})
    batch = data.__getitems__([1, 0])
    assert batch.speakers == ("s1", "s1")
    assert batch.ids == ("u5", "u3")
    assert batch.waveform.lengths.tolist() == [5, 3]
    assert torch.equal(batch.waveform.values[5:], data[0].waveform.values)
    assert batch.tokens.lengths.tolist() == [0, 2]
    assert batch.tokens.values.tolist() == [7, 8]
    assert batch.label.tolist() == [0, 1]
    assert batch.label.dtype == torch.int64


def test_units_and_stored_features_come_in_the_order_of_the_batch(tmp_path):
    store = FeatureStore(tmp_path, {"dtype": "float32"})
    keys = {"a": "7" * 64, "b": "3" * 64}
    with store.writing() as writer:
        writer.claim(list(keys.values()))
        for key, x in (("7" * 64, 7.0), ("3" * 64, 3.0)):
            writer.add([(key, torch.tensor([[[x]], [[2 * x]]]))])
    utterances = [utterance(tmp_path / "no.wav", name) for name in keys]
    inputs = Inputs(
        units={"word": {"a": torch.tensor([[0, 3]]), "b": torch.tensor([[1, 2], [2, 5]])}},
        stored={"speech": StoredStream(store, keys)},
    )
    batch = UtteranceDataset(utterances, inputs).__getitems__([1, 0])
    assert batch.units["word"].sizes == [2, 1]
    assert batch.units["word"].values.tolist() == [[1, 2], [2, 5], [0, 3]]
    assert batch.cached["speech"].values.ravel().tolist() == [3, 6, 7, 14]


def test_characters_come_in_the_order_of_the_batch(tmp_path):
    utterances = [utterance(tmp_path / "no.wav", name) for name in "abc"]
    said = {"a": "don't", "b": "", "c": "a b"}
    characters = {i: torch.tensor(spelled(t), dtype=torch.int64) for i, t in said.items()}
    batch = UtteranceDataset(utterances, Inputs(characters=characters)).__getitems__([2, 1, 0])
    assert batch.characters.sizes == [3, 0, 5]
    # Blank of CTC 0, space 1, apostrophe 2, a 3.
    assert batch.characters.values.tolist() == [3, 1, 4, 6, 17, 16, 2, 22]
    assert batch.characters.values.dtype == torch.int64
    moved = batch.to("meta")
    assert moved.characters.values.is_meta
    assert moved.characters.sizes == [3, 0, 5]


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("I can’t -- it's 3 o'clock!", "i can't it's o'clock"),
        ("Größe, café well-known", "grosse cafe well known"),
        (" 42... ", ""),
        ("", ""),
    ],
)
def test_the_alphabet(text, written):
    assert "".join(ALPHABET[i - 1] for i in spelled(text)) == written
    assert N_CHARACTERS == 29


def test_varied_audio_is_cut_and_what_is_kept_is_clean(tmp_path):
    path = tmp_path / "a.wav"
    soundfile.write(path, np.random.default_rng(0).uniform(-0.5, 0.5, 1700), 16000, subtype="FLOAT")
    augment = augmented({"speed": Speed(1.0, (0.8, 0.8)), "gain": Gain(1.0, (6.0, 6.0))}, 0)
    kept = KeptAudio(1)
    options = {"max_seconds": 0.1, "kept": kept}
    data = UtteranceDataset([utterance(path)], Inputs(waveform=True), augment=augment, **options)
    clean = UtteranceDataset([utterance(path)], Inputs(waveform=True), **options)[0].waveform
    for epoch in (0, 1):
        found = data.__getitems__(PlannedBatch([0], epoch)).waveform
        # 1600 samples are heard; slower they would be 2000.
        assert found.sizes == [1600]
        assert not torch.equal(found.values, clean.values)
        assert torch.equal(kept.get("u1"), clean.values)


def test_what_is_slowed_beyond_the_cut_has_no_characters(tmp_path):
    lengths = {"short": 1000, "long": 1500}
    for name, n in lengths.items():
        ramp(tmp_path / f"{name}.wav", n)
    said = {name: torch.tensor([3, 4]) for name in lengths}
    data = UtteranceDataset(
        [utterance(tmp_path / f"{name}.wav", name) for name in lengths],
        Inputs(waveform=True, characters=said),
        max_seconds=0.1,
        augment=augmented({"speed": Speed(1.0, (0.8, 0.8))}, 0),
    )
    batch = data.__getitems__(PlannedBatch([0, 1], 0))
    assert batch.waveform.sizes == [1250, 1600]
    assert batch.characters.sizes == [2, 0]


def test_varied_audio_asks_for_the_epoch(tmp_path):
    data = UtteranceDataset(
        [utterance(ramp(tmp_path / "a.wav"))], Inputs(waveform=True), augment=augmented({}, 0)
    )
    with pytest.raises(ValueError, match="with its epoch"):
        data[0]


def test_only_what_is_asked_for(tmp_path):
    data = UtteranceDataset([utterance(tmp_path / "no.wav")], Inputs())
    batch = data[0]
    assert batch.ids == ("u1",)
    assert batch.waveform is None
    assert batch.tokens is None
    assert batch.label is None


def test_an_error_names_utterance_and_file(tmp_path):
    data = UtteranceDataset([utterance(tmp_path / "no.wav")], Inputs(waveform=True))
    with pytest.raises(AudioError, match=r"utterance u1: .*no\.wav") as caught:
        data[0]
    assert caught.value.kind == "missing_file"


@pytest.mark.parametrize(
    ("rate", "subtype", "bytes_each"), [(16000, "PCM_16", 2), (16000, "FLOAT", 4), (8000, None, 4)]
)
def test_kept_audio_is_the_decoded_bit_for_bit(tmp_path, rate, subtype, bytes_each):
    noise = np.random.default_rng(0).uniform(-1, 1, 1000)
    soundfile.write(tmp_path / "a.wav", noise, rate, subtype=subtype)
    kept = KeptAudio(1)
    data = UtteranceDataset([utterance(tmp_path / "a.wav")], Inputs(waveform=True), kept=kept)
    first = data[0].waveform.values
    (tmp_path / "a.wav").unlink()
    assert torch.equal(data[0].waveform.values, first)
    assert kept._held == bytes_each * len(first)


def test_samples_beyond_full_scale_are_kept_as_they_are():
    kept, loud = KeptAudio(1), torch.tensor([1.5, -2.0, 1.0])
    kept.offer("a", loud)
    assert torch.equal(kept.get("a"), loud)


def test_a_kept_waveform_cannot_be_spoilt_by_who_got_it():
    kept = KeptAudio(1)
    kept.offer("a", torch.tensor([0.5]))
    kept.get("a").zero_()
    assert kept.get("a").tolist() == [0.5]


def test_no_more_is_kept_than_fits():
    kept = KeptAudio(1)
    for number in range(4):
        kept.offer(str(number), torch.zeros(200_000))
    assert [kept.get(str(n)) is not None for n in range(4)] == [True, True, False, False]
    kept.offer("small", torch.zeros(100_000))
    assert kept.get("small") is not None
    nothing = KeptAudio(0)
    nothing.offer("a", torch.zeros(1))
    assert nothing.get("a") is None


def test_kept_audio_is_not_decoded_again(tmp_path, monkeypatch):
    opened = []
    load = module.load
    monkeypatch.setattr(module, "load", lambda *a: opened.append(a[0].name) or load(*a))
    data = UtteranceDataset(
        [utterance(ramp(tmp_path / "a.wav"))], Inputs(waveform=True), kept=KeptAudio(1)
    )
    assert torch.equal(data[0].waveform.values, data[0].waveform.values)
    assert opened == ["a.wav"]
