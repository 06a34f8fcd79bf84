"""Whisper's encoder, held against that of transformers on the clip alone."""

import json
import shutil

import pytest
import torch
from transformers import WhisperFeatureExtractor, WhisperModel

from sermm.core.batch import Batch
from sermm.core.errors import InputError
from sermm.core.ragged import Ragged
from sermm.encoders.hf.families.log_mel import log_mel
from sermm.encoders.hf.layer_drop import drops_layers
from sermm.encoders.hf.speech import HFSpeechEncoder
from sermm.encoders.tiny import TinySpeechEncoder

# Of the fixture: a window of 10 s.
WINDOW = 160_000
# Seconds of silence that each reading adds.
CONTEXTS = {"own": 0.0, "30s": 30.0, 0.5: 0.5}


def noise(seconds, seed=1):
    generator = torch.Generator().manual_seed(seed)
    return 0.1 * torch.randn(round(16000 * seconds), generator=generator)


def batch_of(*clips):
    return Batch(tuple(map(str, range(len(clips)))), waveform=Ragged.pack(clips))


def theirs(folder, clip, silence):
    """All hidden states of the clip's own frames, by transformers on the clip and its silence."""
    model = WhisperModel.from_pretrained(folder, dtype=torch.float32).encoder.eval()
    window = model.config.max_source_positions * 320
    extractor = WhisperFeatureExtractor.from_pretrained(folder)
    mels = extractor(
        clip.numpy(),
        sampling_rate=16000,
        return_tensors="pt",
        max_length=window,
        truncation=False,
        padding="max_length",
    ).input_features
    positions = -(-min(window, len(clip) + round(16000 * silence)) // 320)
    # What users who want short input do: as many positions as the input has.
    model.config.max_source_positions = positions
    model.embed_positions = torch.nn.Embedding.from_pretrained(
        model.embed_positions.weight[:positions]
    )
    found = model(mels[..., : 2 * positions], output_hidden_states=True).hidden_states
    return torch.stack(found, dim=2)[0, : max(1, -(-len(clip) // 320))]


def distance(found, expected):
    return float((found - expected).norm() / expected.norm())


@torch.no_grad()
@pytest.mark.parametrize("context", CONTEXTS)
@pytest.mark.parametrize("seconds", [0.3, 2.0, 3.3337, 9.99, 10.0])
def test_it_is_that_of_transformers_on_the_clip_alone(whisper_folder, context, seconds):
    encoder = HFSpeechEncoder(str(whisper_folder), layers="all", context=context).eval()
    expected = theirs(whisper_folder, noise(seconds), CONTEXTS[context])
    others = batch_of(noise(1.0, 2), noise(seconds), noise(4.0, 3))
    for found in (encoder(batch_of(noise(seconds))).values, encoder(others).split()[1]):
        assert found.shape == expected.shape
        for layer in range(4):
            assert distance(found[:, layer], expected[:, layer]) < 1e-5


@torch.no_grad()
def test_a_second_of_silence_is_the_default(whisper_folder):
    default = HFSpeechEncoder(str(whisper_folder)).eval()(batch_of(noise(2))).values
    for context, same in ((1, True), (0.9, False), ("own", False), ("30s", False)):
        encoder = HFSpeechEncoder(str(whisper_folder), context=context).eval()
        assert torch.equal(encoder(batch_of(noise(2))).values, default) == same


@torch.no_grad()
@pytest.mark.parametrize("context", CONTEXTS)
def test_a_long_clip_is_heard_in_equal_windows(whisper_folder, context):
    encoder = HFSpeechEncoder(str(whisper_folder), context=context).eval()
    clip = noise(25)
    found, _ = encoder(batch_of(clip, noise(1))).split()
    assert len(found) == encoder.positions(len(clip)) == 1250
    # Three parts, of 8.34, 8.34 and 8.32 s: whole frames.
    parts = clip.split(417 * 320)
    alone = torch.cat([encoder(batch_of(part)).values for part in parts])
    torch.testing.assert_close(found, alone, rtol=1e-4, atol=1e-5)


def test_the_spectrogram_of_a_clip_is_cut_out_of_the_filled_one():
    extractor = WhisperFeatureExtractor(feature_size=80)
    filters = torch.from_numpy(extractor.mel_filters).float()
    for clip in (noise(0.004), noise(1.0), torch.zeros(800), noise(29.99), noise(30.0)):
        whole = extractor(clip.numpy(), sampling_rate=16000, return_tensors="pt").input_features[0]
        for frames in (2, 300, 3000):
            found = log_mel(clip, frames, 480_000, filters)
            torch.testing.assert_close(found, whole[:, :frames], rtol=0, atol=1e-4)


@torch.no_grad()
def test_spectrograms_keep_their_precision_with_weights_of_half(whisper_folder):
    encoder = HFSpeechEncoder(str(whisper_folder), trainable="none", layers=[0]).eval()
    expected = encoder(batch_of(noise(2))).values
    found = encoder.to(torch.bfloat16)(batch_of(noise(2)))
    assert found.values.dtype == torch.bfloat16
    assert distance(found.values.float(), expected) < 0.01


def test_the_positions_are_never_trained(whisper_folder):
    encoder = HFSpeechEncoder(str(whisper_folder), freeze_front_end=False)
    still = {name for name, p in encoder.hf.named_parameters() if not p.requires_grad}
    assert still == {"embed_positions.weight"}
    frozen = HFSpeechEncoder(str(whisper_folder))
    still = {name for name, p in frozen.hf.named_parameters() if not p.requires_grad}
    assert still == {"embed_positions.weight"} | {
        f"conv{n}.{part}" for n in (1, 2) for part in ("weight", "bias")
    }


@torch.no_grad()
def test_spec_augment_sets_spans_of_the_spectrogram_to_zero(whisper_folder, tmp_path):
    folder = shutil.copytree(whisper_folder, tmp_path / "own")
    config = json.loads((folder / "config.json").read_text())
    own = {"mask_time_prob": 0.5, "mask_time_length": 10, "dropout": 0.0, "attention_dropout": 0.0}
    (folder / "config.json").write_text(json.dumps(config | own))
    encoder = HFSpeechEncoder(str(folder), layers=[0], spec_augment=True)
    plain = encoder.eval()(batch_of(noise(3))).values
    assert torch.equal(encoder(batch_of(noise(3))).values, plain)
    torch.manual_seed(0)
    masked = encoder.train()(batch_of(noise(3))).values
    changed = (masked != plain).any(-1).any(-1)
    assert 0.2 < changed.float().mean() < 0.9


@torch.no_grad()
def test_layers_are_left_out_with_the_probability_of_whisper(whisper_folder):
    encoder = HFSpeechEncoder(str(whisper_folder), layers="all", layerdrop=0.5).train()
    assert encoder.hf.config.encoder_layerdrop == 0.5
    assert drops_layers(encoder)
    seen = set()
    for seed in range(12):
        torch.manual_seed(seed)
        states = encoder(batch_of(noise(0.5))).values
        seen.add(tuple(torch.equal(states[:, n], states[:, n + 1]) for n in range(2)))
    assert len(seen) == 4
    assert not drops_layers(HFSpeechEncoder(str(whisper_folder)))


@pytest.mark.parametrize("context", ["full", -1, True, "1s", float("nan")])
def test_another_context_is_refused(as_in_use, whisper_folder, context):
    with pytest.raises(InputError, match=r"encoder.speech.context=.*own .*30s .*seconds"):
        HFSpeechEncoder(str(whisper_folder), context=context)


def test_other_families_have_no_context(wav2vec2_folder):
    with pytest.raises(InputError, match=r"context=own: a wav2vec2 hears .*context=null"):
        HFSpeechEncoder(str(wav2vec2_folder), context="own")


def test_the_decoder_is_left_out(whisper_folder):
    encoder = HFSpeechEncoder(str(whisper_folder))
    used = sum(p.numel() for p in encoder.parameters())
    assert HFSpeechEncoder.size(id=str(whisper_folder)) == used
    assert not any("decoder" in name for name, _ in encoder.named_parameters())


def test_without_its_feature_extractor_a_folder_is_refused(whisper_folder, tmp_path):
    folder = shutil.copytree(whisper_folder, tmp_path / "half")
    (folder / "preprocessor_config.json").unlink()
    with pytest.raises(InputError, match=r"half: the folder has no preprocessor_config.json"):
        HFSpeechEncoder(str(folder))
    # To say whether clips are normalised does not replace it.
    with pytest.raises(InputError, match=r"no preprocessor_config.json"):
        HFSpeechEncoder(str(folder), normalise=False)


def test_bands_that_do_not_belong_together_are_refused(whisper_folder, tmp_path):
    folder = shutil.copytree(whisper_folder, tmp_path / "mixed")
    WhisperFeatureExtractor(feature_size=128).save_pretrained(folder)
    with pytest.raises(InputError, match=r"makes 128 mel bands, config.json has num_mel_bins 80"):
        HFSpeechEncoder(str(folder))


def test_what_is_stored_says_the_context(whisper_folder):
    described = [
        HFSpeechEncoder.described(id=str(whisper_folder), context=context)
        for context in (None, "own", 1.0)
    ]
    assert "context" not in described[0]
    assert [one["context"] for one in described[1:]] == ["own", 1.0]


def test_a_tiny_one_can_be_had():
    encoder = TinySpeechEncoder("whisper", width=16, depth=1)
    assert encoder(batch_of(noise(1.0))).values.shape == (50, 1, 16)
