"""The readers against the lists that lie beside the real corpora."""

import csv
import os
from pathlib import Path

import pytest
from hydra.utils import instantiate
from omegaconf import OmegaConf

CONF = Path(__file__).parents[2] / "conf" / "data"
pytestmark = [
    pytest.mark.real_speech,
    pytest.mark.skipif("SERMM_REAL_SPEECH" not in os.environ, reason="SERMM_REAL_SPEECH not set"),
]

OTHER_CODES = {
    "boredom": "bor",
    "calm": "cal",
    "disgust": "dis",
    "fear": "fea",
    "fearful": "fea",
    "surprised": "sur",
}


@pytest.mark.parametrize(("corpus", "n"), [("ravdess", 1440), ("emodb", 535)])
def test_readers_agree_with_the_lists(corpus, n):
    root = Path(os.environ["SERMM_REAL_SPEECH"]) / corpus
    config = OmegaConf.load(CONF / f"{corpus}.yaml")
    config.root = str(root)
    reading = instantiate(config).read()
    with (root / "manifest.csv").open(encoding="utf-8") as file:
        listed = {
            Path(row["path"]).stem: (
                root / row["path"],
                row["emotion4"] or OTHER_CODES[row["emotion"]],
                row["speaker"],
                row["gender"],
                row["text"],
            )
            for row in csv.DictReader(file)
        }
    read = {u.id: (u.path, u.label, u.speaker, u.gender, u.transcript) for u in reading.utterances}
    assert len(read) == n
    assert read == listed
    assert reading.problems == ()


@pytest.mark.parametrize("corpus", ["ravdess", "emodb"])
def test_the_list_itself_is_a_manifest(corpus):
    folder = Path(os.environ["SERMM_REAL_SPEECH"]) / corpus
    config = OmegaConf.load(CONF / "manifest.yaml")
    config.manifest = str(folder / "manifest.csv")
    config.columns.label = "emotion4"
    reading = instantiate(config).read()
    with (folder / "manifest.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert [(u.speaker, u.label, u.transcript) for u in reading.utterances] == [
        (row["speaker"], row["emotion4"] or None, row["text"])
        for row in sorted(rows, key=lambda row: row["path"].rsplit(".", 1)[0])
    ]
    unlabelled = sum(not row["emotion4"] for row in rows)
    assert [p.kind for p in reading.problems] == ["missing_label"] * unlabelled
