"""Every family, held against transformers on the clip alone."""

import json
import shutil

import pytest
import torch
from transformers import (
    AutoConfig,
    AutoFeatureExtractor,
    AutoModel,
    GPT2Config,
    SeamlessM4TFeatureExtractor,
)

from sermm.core.batch import Batch
from sermm.core.errors import InputError
from sermm.core.ragged import Ragged
from sermm.encoders.hf.families.kaldi_fbank import kaldi_fbank, mel_filters, povey_window
from sermm.encoders.hf.speech import FAMILIES, HFSpeechEncoder


def noise(seconds, seed=1):
    generator = torch.Generator().manual_seed(seed)
    return 0.3 + 0.1 * torch.randn(round(16000 * seconds), generator=generator)


def batch_of(*clips):
    return Batch(tuple(map(str, range(len(clips)))), waveform=Ragged.pack(clips))


@torch.no_grad()
def theirs(folder, clip):
    """Their hidden states, and the last one at the rate that it has."""
    extractor = AutoFeatureExtractor.from_pretrained(folder)
    inputs = extractor(clip.numpy(), sampling_rate=16000, return_tensors="pt")
    if "input_values" in inputs:
        inputs = {"input_values": inputs["input_values"]}
    found = AutoModel.from_pretrained(folder).eval()(**inputs, output_hidden_states=True)
    states = torch.stack(found.hidden_states, dim=2)[0]
    real = int(inputs["attention_mask"].sum()) if "attention_mask" in inputs else None
    return states[:real], found.last_hidden_state[0, :real]


def assert_close(found, expected):
    assert found.shape == expected.shape
    assert float((found - expected).abs().max() / expected.abs().max()) < 1e-4


@torch.no_grad()
@pytest.mark.parametrize("seconds", [0.07, 1.013, 3.337])
def test_it_is_that_of_transformers_on_the_clip_alone(their_folder, seconds):
    encoder = HFSpeechEncoder(str(their_folder), layers="all").eval()
    states, last = theirs(their_folder, noise(seconds))
    others = batch_of(noise(1.0, 2), noise(seconds), noise(0.01, 3))
    for found in (encoder(batch_of(noise(seconds))).values, encoder(others).split()[1]):
        assert_close(found[:, -1], last)
        factor = getattr(encoder.hf.config, "squeeze_factor", 1)
        for layer in range(3):
            at = (torch.arange(len(found)) // factor).clamp(max=len(states) - 1)
            assert_close(found[:, layer], states[at, layer])


def changed(folder, to, **options):
    """A copy of a checkpoint with other lines in config.json."""
    copy = shutil.copytree(folder, to)
    config = json.loads((copy / "config.json").read_text())
    (copy / "config.json").write_text(json.dumps(config | options))
    return copy


@torch.no_grad()
@pytest.mark.parametrize("samples", [0, 1, 399, 400, 559])
def test_what_is_too_short_is_filled_with_zeros(speech_folder, samples):
    encoder = HFSpeechEncoder(str(speech_folder), layers="all", normalise=False).eval()
    clip = torch.full((samples,), 0.5)
    found, _ = encoder(batch_of(clip, noise(1.0))).split()
    assert len(found) == encoder.positions(samples) >= 1
    assert found.isfinite().all()
    whole = HFSpeechEncoder(str(speech_folder), layers="all").eval()
    assert whole(batch_of(clip, noise(1.0))).values.isfinite().all()


@pytest.mark.parametrize(
    ("samples", "sew", "w2v_bert"),
    [(400, 2, 1), (720, 2, 1), (1040, 3, 2), (16000, 49, 49), (16240, 50, 50), (16080, 50, 49)],
)
def test_frames_of_a_clip(sew_folder, w2v_bert_folder, samples, sew, w2v_bert):
    for folder, frames in ((sew_folder, sew), (w2v_bert_folder, w2v_bert)):
        encoder = HFSpeechEncoder(str(folder)).eval()
        assert encoder.frame_s == 0.02
        assert encoder.positions(samples) == frames
        assert len(encoder(batch_of(noise(samples / 16000))).values) == frames


@torch.no_grad()
def test_sew_has_zeros_in_an_odd_last_frame_as_in_transformers(sew_folder):
    encoder = HFSpeechEncoder(str(sew_folder), layers="all").eval()
    odd, even = encoder(batch_of(noise(1.0), noise(1.02))).split()
    assert (len(odd), len(even)) == (49, 50)
    assert not odd[-1, -1].any()
    assert odd[:-1].any(-1).all()
    assert even.any(-1).all()
    # Layers know one state for two frames.
    assert torch.equal(even[0::2, :-1], even[1::2, :-1])
    assert torch.equal(odd[48, :-1], odd[47, :-1])


@torch.no_grad()
def test_a_conformer_has_its_stored_statistics_in_training_too(conformer_folder, tmp_path):
    off = {"attention_dropout": 0.0, "hidden_dropout": 0.0, "conformer_conv_dropout": 0.0}
    off |= {"activation_dropout": 0.0, "feat_proj_dropout": 0.0}
    folder = changed(conformer_folder, tmp_path / "still", **off)
    encoder = HFSpeechEncoder(str(folder))
    batch = batch_of(noise(0.02), noise(1.0))
    before = {name: value.clone() for name, value in encoder.named_buffers()}
    expected = encoder.eval()(batch).values
    torch.testing.assert_close(encoder.train()(batch).values, expected)
    assert all(torch.equal(value, before[name]) for name, value in encoder.named_buffers())


def test_the_norms_of_a_conformer_are_trained(conformer_folder):
    encoder = HFSpeechEncoder(str(conformer_folder))
    norms = [layer.conv_module.batch_norm for layer in encoder.train().hf.encoder.layers]
    assert all(norm.weight.requires_grad and not norm.training for norm in norms)


def test_kaldi_features_are_those_of_transformers():
    extractor = SeamlessM4TFeatureExtractor()
    filters = mel_filters(80, 16000)
    tone = torch.sin(torch.arange(8000) * 0.1)
    for clip in (noise(0.025), noise(1.0), 0.5 * tone, torch.zeros(800)):
        expected = extractor._extract_fbank_features(clip.numpy())
        found = kaldi_fbank(clip, povey_window(), filters)
        torch.testing.assert_close(found, torch.tensor(expected).float(), rtol=1e-5, atol=1e-3)


@torch.no_grad()
def test_mel_bands_are_normalised_unless_told(w2v_bert_folder):
    plain, told, off = (
        HFSpeechEncoder(str(w2v_bert_folder), normalise=normalise).eval()
        for normalise in (None, True, False)
    )
    batch = batch_of(noise(1.0))
    assert torch.equal(plain(batch).values, told(batch).values)
    assert not torch.allclose(plain(batch).values, off(batch).values)


@torch.no_grad()
def test_the_adapter_of_w2v_bert_is_left_out(tmp_path):
    config = AutoConfig.for_model(
        "wav2vec2-bert",
        hidden_size=16,
        intermediate_size=24,
        num_hidden_layers=2,
        num_attention_heads=2,
        add_adapter=True,
        use_intermediate_ffn_before_adapter=True,
        output_hidden_size=16,
    )
    AutoModel.from_config(config).save_pretrained(tmp_path / "whole")
    SeamlessM4TFeatureExtractor().save_pretrained(tmp_path / "whole")
    encoder = HFSpeechEncoder(str(tmp_path / "whole"), layers="all").eval()
    assert not any("adapter" in n or "intermediate_ffn" in n for n, _ in encoder.named_parameters())
    assert encoder(batch_of(noise(1.0))).values.shape == (49, 3, 16)
    encoder.save_assets(tmp_path / "assets")
    again = HFSpeechEncoder("gone/away", assets=tmp_path / "assets")
    again.load_state_dict(encoder.state_dict())


def test_spec_augment_masks_rows_of_w2v_bert(w2v_bert_folder, tmp_path):
    folder = changed(
        w2v_bert_folder, tmp_path / "masked", mask_time_prob=0.5, attention_dropout=0.0
    )
    encoder = HFSpeechEncoder(str(folder), spec_augment=True, layers=[0]).train()
    values = encoder(batch_of(noise(2.0))).values[:, 0]
    assert encoder.hf.masked_spec_embed.requires_grad
    masked = (values == encoder.hf.masked_spec_embed).all(-1).float().mean()
    assert 0.2 < masked < 0.9
    none = changed(w2v_bert_folder, tmp_path / "none", mask_time_prob=0.0)
    with pytest.raises(InputError, match=r"spec_augment=true: .*mask_time_prob is 0"):
        HFSpeechEncoder(str(none), spec_augment=True)


def test_rows_that_do_not_belong_together_are_refused(w2v_bert_folder, tmp_path):
    folder = shutil.copytree(w2v_bert_folder, tmp_path / "mixed")
    SeamlessM4TFeatureExtractor(num_mel_bins=64, feature_size=64).save_pretrained(folder)
    with pytest.raises(InputError, match=r"makes 64 mel bands by 2 .*input_dim 160 .*is 80 by 2"):
        HFSpeechEncoder(str(folder))
    (folder / "preprocessor_config.json").unlink()
    with pytest.raises(InputError, match=r"the folder has no preprocessor_config.json"):
        HFSpeechEncoder(str(folder), normalise=True)


@pytest.mark.parametrize("family", ["gpt2", "bert", "emotion2vec"])
def test_a_model_of_another_family_is_refused_by_name(bert_folder, tmp_path, family):
    GPT2Config(n_embd=8, n_layer=1, n_head=1).save_pretrained(tmp_path / "gpt2")
    folders = {"bert": bert_folder, "gpt2": tmp_path / "gpt2"}
    folder = folders.get(family)
    if folder is None:
        # transformers knows none of that name.
        folder = changed(bert_folder, tmp_path / "own", model_type=family)
    with pytest.raises(InputError) as caught:
        HFSpeechEncoder(str(folder))
    message = str(caught.value)
    assert f"encoder.speech.id={folder} is a '{family}' model, expected one of" in message
    assert ", ".join(FAMILIES) in message
    assert ("it reads text: encoder.text.id" in message) == (family in folders)
