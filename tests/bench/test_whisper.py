import torch
from transformers import WhisperConfig

from sermm.bench.whisper import furthest, measures
from sermm.encoders.hf.loading import random_model

SMALL = {"d_model": 16, "encoder_layers": 1, "encoder_attention_heads": 2, "encoder_ffn_dim": 24}


def small():
    torch.manual_seed(0)
    return random_model(WhisperConfig(**SMALL)).eval()


def test_each_context_is_a_ratio_to_filling_one_by_one():
    clips = [0.1 * torch.randn(n) for n in (8000, 16000)]
    rows = measures(small(), clips, lambda _dtype: 1e12)
    found = {row.what: row for row in rows}
    for context in ("own", "1.0", "30s"):
        name = f"Whisper base, context={context}"
        assert found[name].unit == "x real time"
        assert found[f"{name}: share of the matrix rate"].value > 0
    limits = {row.what: row.limit for row in rows if row.limit is not None}
    assert limits == {
        "Whisper base, context=own: time to filled one by one": 0.25,
        "Whisper base, furthest from transformers, relative": 1e-4,
    }
    assert found["Whisper base, furthest from transformers, relative"].value < 1e-5


def test_states_of_another_model_are_far():
    hf = small()
    clips = [0.1 * torch.randn(8000)]
    assert furthest(hf, clips) < 1e-5
    # The copy that is ours is made by the weights: it is not the same object.
    hf.conv2.register_forward_hook(lambda _module, _inputs, output: output + 1.0)
    assert furthest(hf, clips) > 1e-2
