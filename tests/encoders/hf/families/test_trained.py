"""Encoders that know something: the marker `trained` (SERMM_MODELS)."""

import pytest
import torch
from transformers import WhisperFeatureExtractor, WhisperModel

from sermm.core.batch import Batch
from sermm.core.ragged import Ragged
from sermm.encoders.hf.speech import HFSpeechEncoder
from sermm.encoders.hf.text import HFTextEncoder

pytestmark = pytest.mark.trained


def noise(seconds, seed):
    generator = torch.Generator().manual_seed(seed)
    return 0.1 * torch.randn(round(16000 * seconds), generator=generator)


@torch.inference_mode()
@pytest.mark.parametrize("name", ["whisper-base", "whisper-tiny.en"])
def test_trained_states_are_those_of_transformers_on_the_filled_clip(trained_models, name):
    folder = trained_models / name
    encoder = HFSpeechEncoder(str(folder), layers="all", context="30s", trainable="none").eval()
    clips = [noise(2.3, 1), noise(0.7, 2)]
    found = encoder(Batch(("a", "b"), waveform=Ragged.pack(clips))).split()
    extractor = WhisperFeatureExtractor.from_pretrained(folder)
    model = WhisperModel.from_pretrained(folder, dtype=torch.float32).encoder.eval()
    for clip, states in zip(clips, found, strict=True):
        mels = extractor(clip.numpy(), sampling_rate=16000, return_tensors="pt").input_features
        every = model(mels, output_hidden_states=True).hidden_states
        expected = torch.stack(every, dim=2)[0, : len(states)]
        assert float((states - expected).norm() / expected.norm()) < 1e-4


@torch.inference_mode()
def test_a_sentence_encoder_knows_what_is_alike(trained_models):
    encoder = HFTextEncoder(str(trained_models / "minilm"), trainable="none", pool="mean").eval()
    said = ["I am so happy today!", "What a joyful day this is.", "The invoice is in the drawer."]
    rows = [torch.tensor(row) for row in encoder.tokenize(said)]
    states = encoder(Batch(("a", "b", "c"), tokens=Ragged.pack(rows))).values[:, 0]
    alike, other = (torch.cosine_similarity(states[0], states[n], dim=0) for n in (1, 2))
    assert alike > 0.5 > other + 0.2
