"""LayerDrop against transformers on the same draws."""

import json
import shutil

import pytest
import torch
from transformers import AutoModel

from sermm.core.batch import Batch
from sermm.core.errors import InputError
from sermm.core.ragged import Ragged
from sermm.encoders.hf.families import spec_augment
from sermm.encoders.hf.layer_drop import drops_layers
from sermm.encoders.hf.speech import HFSpeechEncoder

SEEDS = range(12)


@pytest.fixture
def still(waveform_folder, tmp_path):
    """A checkpoint in which nothing is drawn in training but the layers that are left out."""
    folder = shutil.copytree(waveform_folder, tmp_path / "still")
    config = json.loads((folder / "config.json").read_text())
    off = {key: 0.0 for key in config if "dropout" in key}
    off |= {"mask_time_prob": 0.05, "apply_spec_augment": False, "layerdrop": 0.4}
    (folder / "config.json").write_text(json.dumps(config | off))
    return folder


def clip():
    waveform = 0.1 * torch.randn(16000, generator=torch.Generator().manual_seed(1))
    return (waveform - waveform.mean()) / waveform.std(correction=0)


def batch_of(waveform):
    return Batch(("u",), waveform=Ragged.pack([waveform]))


def theirs(folder):
    """The hidden state after each layer of transformers' own model in training, by seed."""
    model = AutoModel.from_pretrained(folder).train()
    for name, module in model.named_modules():
        # Ours takes the stored statistics.
        if name.endswith("conv_module.batch_norm"):
            module.eval()
    ran, found = [], {}
    for number, layer in enumerate(model.encoder.layers):
        layer.register_forward_hook(lambda *_, number=number: ran.append(number))
    for seed in SEEDS:
        ran.clear()
        torch.manual_seed(seed)
        with torch.no_grad():
            last = model(clip()[None]).last_hidden_state[0]
        found[seed] = (tuple(ran), last)
    return found


@torch.no_grad()
def test_a_layer_is_left_out_as_transformers_leaves_it_out(still):
    encoder = HFSpeechEncoder(
        str(still), layers="all", normalise=False, layerdrop="checkpoint"
    ).train()
    expected = theirs(still)
    assert len({ran for ran, _ in expected.values()}) > 3
    for seed, (ran, last) in expected.items():
        torch.manual_seed(seed)
        states = encoder(batch_of(clip())).values
        torch.testing.assert_close(states[:, -1], last, rtol=1e-4, atol=1e-5)
        for layer in range(3):
            # The last state of models with something on top is behind it.
            if layer < 2 or not encoder._on_top:
                same = torch.equal(states[:, layer], states[:, layer + 1])
                assert same == (layer not in ran), (seed, layer)


@torch.no_grad()
def test_whatever_is_left_out_each_layer_has_a_state(still):
    """With all layers but one left out there is nothing that hands on some of the states."""
    chosen = HFSpeechEncoder(str(still), layers=[2, 0], normalise=False, layerdrop=0.9).train()
    every = HFSpeechEncoder(str(still), layers="all", normalise=False, layerdrop=0.9).train()
    for seed in SEEDS:
        torch.manual_seed(seed)
        two = chosen(batch_of(clip())).values
        torch.manual_seed(seed)
        assert torch.equal(two, every(batch_of(clip())).values[:, [2, 0]])


@pytest.mark.parametrize(("asked", "p"), [(None, 0.0), (0.25, 0.25), ("checkpoint", 0.1)])
def test_the_probability_is_none_a_number_or_that_of_the_checkpoint(wav2vec2_folder, asked, p):
    encoder = HFSpeechEncoder(str(wav2vec2_folder), layerdrop=asked)
    assert encoder.hf.config.layerdrop == p
    assert drops_layers(encoder) == (p > 0)


@pytest.mark.parametrize("asked", ["yes", 1.0, -0.1, True])
def test_another_probability_is_refused(as_in_use, wav2vec2_folder, asked):
    with pytest.raises(InputError, match=r"encoder.speech.layerdrop=.*checkpoint .*or null"):
        HFSpeechEncoder(str(wav2vec2_folder), layerdrop=asked)


@torch.no_grad()
@pytest.mark.parametrize("trainable", ["none", 2])
def test_layers_are_left_out_of_encoders_that_are_trained_whole(wav2vec2_folder, trainable):
    encoder = HFSpeechEncoder(str(wav2vec2_folder), trainable=trainable, layerdrop=0.9).train()
    for module in encoder.modules():
        if isinstance(module, torch.nn.Dropout):
            module.p = 0.0
    for layer in encoder.hf.encoder.layers:
        layer.attention.dropout = 0.0
    plain = encoder(batch_of(clip())).values
    assert torch.equal(encoder(batch_of(clip())).values, plain)
    assert not drops_layers(encoder)


@pytest.mark.parametrize("recomputed", [False, True])
def test_a_layer_that_is_left_out_has_no_gradient(still, recomputed):
    encoder = HFSpeechEncoder(str(still), normalise=False, layerdrop=0.5).train()
    if recomputed:
        encoder.recompute()
    ran = []
    for number, layer in enumerate(encoder.hf.encoder.layers):
        layer.register_forward_hook(lambda *_, number=number: ran.append(number))
    torch.manual_seed(2)
    states = encoder(batch_of(clip())).values
    assert 0 < len(there := set(ran)) < 3
    states.square().sum().backward()
    trained = {
        number
        for number, layer in enumerate(encoder.hf.encoder.layers)
        if any(p.grad is not None for p in layer.parameters())
    }
    assert trained == there


@torch.no_grad()
def test_in_evaluation_every_layer_is_there(still):
    encoder = HFSpeechEncoder(str(still), normalise=False, layerdrop=0.9).eval()
    plain = HFSpeechEncoder(str(still), normalise=False).eval()
    assert torch.equal(encoder(batch_of(clip())).values, plain(batch_of(clip())).values)


def test_spec_augment_masks_with_the_checkpoints_own_sizes(wav2vec2_folder, tmp_path, monkeypatch):
    folder = shutil.copytree(wav2vec2_folder, tmp_path / "own")
    config = json.loads((folder / "config.json").read_text())
    own = {"mask_time_prob": 0.21, "mask_time_length": 3, "mask_time_min_masks": 1}
    (folder / "config.json").write_text(json.dumps(config | own))
    asked = []
    masked = spec_augment.masked_positions
    monkeypatch.setattr(
        spec_augment,
        "masked_positions",
        lambda *given: (asked.append(given[1:]), masked(*given))[1],
    )
    HFSpeechEncoder(str(folder), spec_augment=True).train()(batch_of(clip()))
    assert asked == [(0.21, 3, 1)]
