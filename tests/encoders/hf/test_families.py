"""Every family, held against transformers on the clip alone."""

import pytest
import torch
from transformers import AutoFeatureExtractor, AutoModel

from sermm.core.batch import Batch
from sermm.core.ragged import Ragged
from sermm.encoders.hf.speech import HFSpeechEncoder


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
