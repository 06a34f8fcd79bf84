"""A corpus of short tones whose pitch and words give the class away: trains in seconds."""

import csv

import numpy as np
import pytest
import soundfile
import torch
from transformers import (
    BertConfig,
    BertModel,
    BertTokenizerFast,
    Wav2Vec2Config,
    Wav2Vec2FeatureExtractor,
    Wav2Vec2Model,
)

CLASSES = {"ang": "furious", "hap": "glad", "neu": "plain", "sad": "gloomy"}

SIZES = {
    "hidden_size": 16,
    "intermediate_size": 24,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
}
SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]


@pytest.fixture(scope="session")
def save_encoders():
    """Writes a small random wav2vec 2.0 and BERT into a folder, as save_pretrained does."""

    def save(root):
        torch.manual_seed(0)
        conv = {"conv_dim": (16,) * 7, "num_conv_pos_embeddings": 16}
        config = Wav2Vec2Config(**SIZES, **conv, num_conv_pos_embedding_groups=2)
        Wav2Vec2Model(config).save_pretrained(root / "speech")
        Wav2Vec2FeatureExtractor(do_normalize=True).save_pretrained(root / "speech")
        vocabulary = [*SPECIAL, "i", "am", *CLASSES.values(), "today"]
        BertModel(BertConfig(vocab_size=len(vocabulary), **SIZES)).save_pretrained(root / "text")
        (root / "vocab.txt").write_text("\n".join(vocabulary))
        BertTokenizerFast(vocab=str(root / "vocab.txt")).save_pretrained(root / "text")
        return root / "speech", root / "text"

    return save


def tone(hz, seconds, rng):
    t = np.arange(round(16000 * seconds)) / 16000
    return (0.3 * np.sin(2 * np.pi * hz * t) + 0.01 * rng.standard_normal(len(t))).astype("float32")


@pytest.fixture(scope="session")
def tones(tmp_path_factory):
    """The manifest of 5 talkers x 4 classes x 3 clips."""
    root = tmp_path_factory.mktemp("tones")
    rng = np.random.default_rng(0)
    with (root / "tones.csv").open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["path", "label", "speaker", "text"])
        for talker in range(5):
            for index, (label, word) in enumerate(CLASSES.items()):
                for n in range(3):
                    name = f"{talker}{label}{n}.wav"
                    clip = tone(200 + 250 * index + 7 * talker, 0.3 + 0.1 * n, rng)
                    soundfile.write(root / name, clip, 16000)
                    rows.writerow([name, label, f"t{talker}", f"I am {word} today"])
    return root / "tones.csv"


@pytest.fixture
def corpus_words(tones):
    """The corpus and a cache of its own; sweeps run in this process, where types are checked."""
    return [
        "hydra/launcher=basic",
        "data=manifest",
        f"data.manifest={tones}",
        "data.name=tones",
        "protocol=groups5",
        f"cache_dir={tones.parent / 'cache'}",
    ]


@pytest.fixture
def train_words(corpus_words, tmp_path):
    """`sermm train` on the tones, small and on one thread; runs and cache in the test's folder."""
    return [
        "train",
        *corpus_words,
        f"runs_dir={tmp_path / 'runs'}",
        "encoder/speech=mfcc",
        "encoder/text=tiny",
        "encoder.speech.hidden=8",
        "encoder.speech.channels=8",
        "trainer.accelerator=cpu",
        "trainer.max_epochs=3",
        "model.learning.lr=0.003",
    ]
