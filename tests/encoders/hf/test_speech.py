import copy
import itertools
import shutil

import pytest
import torch
from safetensors.torch import load_file
from transformers import AutoConfig, AutoModel

from sermm.core.batch import Batch
from sermm.core.errors import InputError
from sermm.core.ragged import Ragged
from sermm.encoders.hf.families.spec_augment import masked_positions
from sermm.encoders.hf.families.speech_family import zero_mean_unit_variance
from sermm.encoders.hf.families.waveform_family import receptive_field
from sermm.encoders.hf.speech import HFSpeechEncoder

SECONDS = (0.1, 8.0, 0.7, 3.3, 0.02)


def clips(seconds=SECONDS):
    generator = torch.Generator().manual_seed(1)
    return [0.1 * torch.randn(round(16000 * s), generator=generator) for s in seconds]


def batch_of(*waveforms):
    ids = tuple(f"u{i}" for i in range(len(waveforms)))
    return Batch(ids, waveform=Ragged.pack(waveforms))


def distance(found, expected):
    return float((found - expected).norm() / expected.norm())


@torch.no_grad()
def test_a_clip_alone_and_among_others_gets_the_same_features(speech_folder):
    encoder = HFSpeechEncoder(str(speech_folder), layers="all").eval()
    together = encoder(batch_of(*clips())).split()
    for clip, found in zip(clips(), together, strict=True):
        alone = encoder(batch_of(clip)).values
        assert alone.shape == found.shape == (encoder.positions(len(clip)), 4, 16)
        for layer in range(4):
            assert distance(found[:, layer], alone[:, layer]) < 5e-6


@torch.no_grad()
def test_the_order_of_a_batch_does_not_matter(speech_folder):
    encoder = HFSpeechEncoder(str(speech_folder)).eval()
    forth = encoder(batch_of(*clips())).split()
    back = encoder(batch_of(*clips()[::-1])).split()
    for found, expected in zip(back[::-1], forth, strict=True):
        assert distance(found, expected) < 5e-6


@torch.no_grad()
def test_layers_are_the_last_or_all_or_those_of_the_transformer(wav2vec2_folder):
    made = {
        layers: HFSpeechEncoder(str(wav2vec2_folder), layers=layers).eval()
        for layers in ("last", "all", "transformer")
    }
    found = {layers: encoder(batch_of(*clips())).values for layers, encoder in made.items()}
    assert {k: (e.n_layers, e.width) for k, e in made.items()} == {
        "last": (1, 16),
        "all": (4, 16),
        "transformer": (3, 16),
    }
    assert torch.equal(found["all"][:, 1:], found["transformer"])
    assert torch.equal(found["all"][:, 3:], found["last"])


@torch.no_grad()
@pytest.mark.parametrize("samples", [0, 1, 399])
def test_less_than_a_frame_of_speech_is_filled_with_zeros(wav2vec2_folder, samples):
    encoder = HFSpeechEncoder(str(wav2vec2_folder), normalise=False).eval()
    clip = torch.full((samples,), 0.5)
    filled = torch.cat([clip, torch.zeros(400 - samples)])
    short, whole, _ = encoder(batch_of(clip, filled, clips()[0])).split()
    assert short.shape == (1, 1, 16)
    assert short.isfinite().all()
    assert distance(short, whole) < 5e-6
    normalised = HFSpeechEncoder(str(wav2vec2_folder)).eval()
    assert normalised(batch_of(clip, clips()[0])).values.isfinite().all()


def test_normalisation_is_over_the_samples_of_the_clip():
    clip = torch.tensor([1.0, 3.0])
    torch.testing.assert_close(zero_mean_unit_variance(clip), torch.tensor([-1.0, 1.0]))
    assert torch.equal(zero_mean_unit_variance(torch.zeros(3)), torch.zeros(3))


@torch.no_grad()
def test_normalisation_follows_the_preprocessor_unless_told(wav2vec2_folder, ctc_folder):
    assert HFSpeechEncoder(str(wav2vec2_folder)).normalise
    assert not HFSpeechEncoder(str(ctc_folder)).normalise
    assert HFSpeechEncoder(str(ctc_folder), normalise=True).normalise


def test_the_receptive_field_is_25_ms():
    assert receptive_field([10, 3, 3, 3, 3, 2, 2], [5, 2, 2, 2, 2, 2, 2]) == 400


def gradients(encoder):
    encoder.train()
    encoder(batch_of(*clips((0.1, 0.4)))).values.square().sum().backward()
    trained = {n for n, p in encoder.named_parameters() if p.requires_grad}
    with_gradient = {n for n, p in encoder.named_parameters() if p.grad is not None}
    assert with_gradient == trained
    return {name.removeprefix("hf.") for name in trained}


def test_every_trainable_parameter_gets_a_gradient(speech_folder):
    trained = gradients(HFSpeechEncoder(str(speech_folder), freeze_front_end=False))
    everything = {name for name, _ in HFSpeechEncoder(str(speech_folder)).hf.named_parameters()}
    never = {"masked_spec_embed", "embed_positions.weight"}
    # There and never used, in transformers either.
    if "conformer" in str(speech_folder):
        never |= {name for name in everything if "pos_conv_embed" in name}
    assert everything - trained <= never


def test_the_front_end_is_frozen_unless_told(wav2vec2_folder):
    encoder = HFSpeechEncoder(str(wav2vec2_folder))
    trained = gradients(encoder)
    assert trained
    assert not any(name.startswith("feature_extractor") for name in trained)
    assert not encoder.hf.feature_extractor.training
    assert encoder.hf.encoder.training


def test_the_top_layers_alone_can_be_trained(speech_folder):
    encoder = HFSpeechEncoder(str(speech_folder), trainable=2)
    trained = gradients(encoder)
    blocks, on_top = encoder._blocks, encoder._on_top
    own = {id(p) for part in (*blocks[-2:], *on_top) for p in part.parameters()}
    assert {id(p) for n, p in encoder.hf.named_parameters() if n in trained} == own
    topped = ("stable", "whisper", "sew", "conformer")
    assert bool(on_top) == any(name in speech_folder.name for name in topped)
    assert blocks[1].training
    assert not blocks[0].training
    assert not encoder.reloadable


def test_a_frozen_encoder_stays_as_it_is_in_training(wav2vec2_folder):
    encoder = HFSpeechEncoder(str(wav2vec2_folder), trainable="none").train()
    first, second = encoder(batch_of(*clips())), encoder(batch_of(*clips()))
    assert encoder.reloadable
    assert not any(module.training for module in encoder.hf.modules())
    assert not any(p.requires_grad for p in encoder.parameters())
    assert not first.values.requires_grad
    assert torch.equal(first.values, second.values)


def test_weights_are_those_of_the_checkpoint_under_a_head(ctc_folder):
    stored = load_file(ctc_folder / "model.safetensors")
    own = HFSpeechEncoder(str(ctc_folder)).hf.state_dict()
    prefix = "hubert."
    shared = {k: v for k, v in stored.items() if k.startswith(prefix)}
    assert len(shared) == len(own)
    for name, value in shared.items():
        torch.testing.assert_close(own[name.removeprefix(prefix)], value)


def test_half_precision_checkpoints_are_loaded_in_float32(wav2vec2_folder, tmp_path):
    encoder = HFSpeechEncoder(str(wav2vec2_folder))
    encoder.hf.half().save_pretrained(tmp_path)
    loaded = HFSpeechEncoder(str(tmp_path), normalise=True)
    assert {p.dtype for p in loaded.parameters()} == {torch.float32}


@torch.no_grad()
def test_assets_and_weights_build_it_again(speech_folder, tmp_path):
    encoder = HFSpeechEncoder(str(speech_folder), normalise=False, layers="all").eval()
    encoder.save_assets(tmp_path / "assets")
    assert {p.name for p in tmp_path.iterdir()} == {"assets"}
    again = HFSpeechEncoder("gone/from-the-hub", layers="all", assets=tmp_path / "assets").eval()
    again.load_state_dict(encoder.state_dict())
    assert again.normalise is False
    batch = batch_of(*clips())
    assert torch.equal(again(batch).values, encoder(batch).values)


@torch.no_grad()
def test_a_frozen_encoder_takes_its_weights_from_its_source_again(wav2vec2_folder, tmp_path):
    encoder = HFSpeechEncoder(str(wav2vec2_folder), trainable="none")
    encoder.save_assets(tmp_path)
    again = HFSpeechEncoder(str(wav2vec2_folder), trainable="none", assets=tmp_path)
    assert torch.equal(again(batch_of(*clips())).values, encoder(batch_of(*clips())).values)
    with pytest.raises(InputError, match=r"gone/from-the-hub"):
        HFSpeechEncoder("gone/from-the-hub", trainable="none", assets=tmp_path)


def test_no_layer_is_dropped_in_training(wav2vec2_folder):
    assert HFSpeechEncoder(str(wav2vec2_folder)).hf.config.layerdrop == 0


@pytest.mark.parametrize("layers", ["first", "", "None"])
def test_unknown_layers_are_refused(as_in_use, wav2vec2_folder, layers):
    with pytest.raises(InputError, match=r"encoder.speech.layers=.*last, all, transformer"):
        HFSpeechEncoder(str(wav2vec2_folder), layers=layers)


@pytest.mark.parametrize("trainable", ["some", 0, 4, -1, True])
def test_unknown_trainable_parts_are_refused(as_in_use, wav2vec2_folder, trainable):
    with pytest.raises(InputError, match=r"encoder.speech.trainable=.*\(1 to 3\)"):
        HFSpeechEncoder(str(wav2vec2_folder), trainable=trainable)


def test_a_batch_without_speech_is_refused(wav2vec2_folder):
    with pytest.raises(InputError, match="needs waveforms"):
        HFSpeechEncoder(str(wav2vec2_folder))(Batch(("a",)))


def test_spec_augment_masks_frames_in_training_only(wav2vec2_folder):
    encoder = HFSpeechEncoder(str(wav2vec2_folder), spec_augment=True)
    batch = batch_of(*clips())
    with torch.no_grad():
        plain = HFSpeechEncoder(str(wav2vec2_folder)).eval()(batch).values
        assert torch.equal(encoder.eval()(batch).values, plain)
    assert "masked_spec_embed" in gradients(encoder)


def test_spec_augment_draws_whole_spans_from_the_seeded_generator():
    sequences = Ragged(torch.zeros(1209, 2), torch.tensor([1000, 9, 200]))
    torch.manual_seed(3)
    masked = masked_positions(sequences, probability=0.2, span=10, minimum=2)
    torch.manual_seed(3)
    assert torch.equal(masked, masked_positions(sequences, 0.2, 10, 2))
    assert not torch.equal(masked, masked_positions(sequences, 0.2, 10, 2))
    long, short, middle = masked.split([1000, 9, 200])
    assert not short.any()
    assert 0.1 < long.float().mean() < 0.21
    assert 0.05 <= middle.float().mean() < 0.26
    runs = [len(list(run)) for value, run in itertools.groupby(masked.tolist()) if value]
    assert min(runs) >= 10


@torch.no_grad()
def test_a_copy_computes_with_its_own_weights(speech_folder):
    encoder = HFSpeechEncoder(str(speech_folder)).eval()
    other = copy.deepcopy(encoder)
    before = other(batch_of(*clips())).values
    for parameter in encoder.parameters():
        parameter.mul_(2.0)
    assert torch.equal(other(batch_of(*clips())).values, before)


def test_a_checkpoint_that_masks_nothing(wav2vec2_folder, tmp_path):
    # Fine-tuned checkpoints often come without masking, and then without a mask embedding.
    folder = tmp_path / "plain"
    shutil.copytree(wav2vec2_folder, folder)
    config = AutoConfig.from_pretrained(folder, mask_time_prob=0.0)
    AutoModel.from_config(config).save_pretrained(folder)
    encoder = HFSpeechEncoder(str(folder))
    assert encoder(batch_of(torch.zeros(4000))).values.isfinite().all()
    with pytest.raises(InputError, match=r"spec_augment=true: .*mask_time_prob is 0"):
        HFSpeechEncoder(str(folder), spec_augment=True)
