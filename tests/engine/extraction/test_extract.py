"""What is stored of an utterance does not depend on its batch: architectures, types, plans.

But for the order in which sums are added up, which follows from the size of a batch: 5e-7 of the
largest value, measured on a CPU in float32.
"""

import csv

import numpy as np
import pytest
import soundfile
import torch
from transformers import AutoConfig, AutoModel, Wav2Vec2FeatureExtractor

from sermm.configuration.verbs import ExtractConfig
from sermm.engine.extraction.extract import extract, wanted
from sermm.engine.extraction.streams import streams_asked
from sermm.engine.inputs.corpus import load
from sermm.engine.inputs.work import work_of

SIZES = {
    "hidden_size": 16,
    "intermediate_size": 24,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "conv_dim": (16,) * 7,
    "num_conv_pos_embeddings": 16,
    "num_conv_pos_embedding_groups": 2,
}
LAYER_NORM = {"feat_extract_norm": "layer", "conv_bias": True, "do_stable_layer_norm": True}
ARCHITECTURES = {
    "wav2vec2-base": ("wav2vec2", {}),
    "wav2vec2-large": ("wav2vec2", LAYER_NORM),
    "hubert-base": ("hubert", {}),
    "hubert-large": ("hubert", LAYER_NORM),
    "wavlm-base": ("wavlm", {}),
    "wavlm-large": ("wavlm", LAYER_NORM),
    "data2vec": ("data2vec-audio", {"num_conv_pos_embeddings": 5, "conv_pos_kernel_size": 19}),
}
# Of the largest value: what the order of sums may change.
ORDER = 1e-6
# A step of each type at 1: what rounding may add to that.
STEP = {"float32": 0.0, "float16": 2.0**-10, "bfloat16": 2.0**-7}
# Utterances one by one, a few together, all together.
BUDGETS_S = (0.1, 4.0, 1000.0)
SECONDS = (0.01, 0.6, 0.7, 1.1, 1.9, 2.0, 3.3, 34.0)


@pytest.fixture(scope="module")
def table(tmp_path_factory):
    """Eight utterances from a hundredth of a second to 34 s, loud and soft."""
    root = tmp_path_factory.mktemp("lengths")
    rng = np.random.default_rng(0)
    with (root / "table.csv").open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["path", "label", "speaker"])
        for n, seconds in enumerate(SECONDS):
            clip = 0.01 * (n + 1) * rng.standard_normal(round(16000 * seconds)) + 0.02 * n
            soundfile.write(root / f"{n}.wav", clip.astype("float32"), 16000, subtype="FLOAT")
            rows.writerow([f"{n}.wav", ("ang", "hap", "neu", "sad")[n % 4], f"t{n}"])
    return root / "table.csv"


def save(architecture, folder):
    """A small random model of the architecture."""
    family, options = ARCHITECTURES[architecture]
    torch.manual_seed(0)
    config = AutoConfig.for_model(family, **(SIZES | options))
    AutoModel.from_config(config).save_pretrained(folder)
    Wav2Vec2FeatureExtractor(do_normalize=True).save_pretrained(folder)


def stored(table, folder, cache, dtype, budget_s):
    """The features of all utterances as they lie in the store, laid end to end."""
    words = [
        "data=manifest",
        f"data.manifest={table}",
        "protocol=groups5",
        f"cache_dir={cache}",
        f"encoder.speech.id={folder}",
        "encoder.speech.layers=all",
        "trainer.accelerator=cpu",
        "trainer.max_seconds=40.0",
        f"features.dtype={dtype}",
        f"features.batch_seconds={budget_s}",
    ]
    config = ExtractConfig.of(words)
    loaded = load(config)
    work = work_of(config, loaded, loaded.texts, [])
    (part,) = wanted(streams_asked(config), work)
    (done,) = extract([part], work)
    assert done.computed == len(SECONDS)
    return part.store.read([part.keys[i] for i in sorted(part.keys)]).values.float()


def test_the_same_batches_give_the_same_bits(table, tmp_path):
    save("wav2vec2-base", tmp_path / "encoder")
    one, two = (
        stored(table, tmp_path / "encoder", tmp_path / name, "float32", 4.0) for name in "ab"
    )
    assert torch.equal(one, two)


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_what_is_stored_does_not_depend_on_the_batch(architecture, table, tmp_path):
    save(architecture, tmp_path / "encoder")
    for dtype, step in STEP.items():
        found = [
            stored(table, tmp_path / "encoder", tmp_path / f"{dtype}{n}", dtype, budget_s)
            for n, budget_s in enumerate(BUDGETS_S)
        ]
        largest = found[0].abs().max()
        for other in found[1:]:
            assert (other - found[0]).abs().max() <= (ORDER + step) * largest
            if step:
                # Rounding may fall to the other side here and there, not everywhere.
                assert (other != found[0]).float().mean() < 0.02
