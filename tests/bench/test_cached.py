import math

import pytest
import torch

from sermm.bench.cached import CachedWorkload, Corpus, coattention, late_fusion, mixing
from sermm.bench.checked import checked
from sermm.bench.padded import PaddedCoAttention, PaddedLateFusion, padded

SCALE = CachedWorkload(utterances=6, batch=3, layers=2, width=8, copied=100, turns=1)


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    return Corpus(tmp_path_factory.mktemp("bench"), SCALE)


def test_utterances_are_as_long_as_those_of_iemocap(tmp_path):
    seconds = Corpus(tmp_path, CachedWorkload(utterances=128, layers=1, width=1)).seconds.values()
    assert sum(seconds) / 128 == pytest.approx(4.5, abs=0.3)
    assert max(seconds) <= 15
    assert min(seconds) > 0.5


@pytest.mark.parametrize(
    ("model", "streams", "rival"),
    [
        ("late_fusion", ("text", "frame", "phone"), PaddedLateFusion),
        ("coattention", ("text", "frame"), PaddedCoAttention),
    ],
)
@torch.no_grad()
def test_the_padded_rival_computes_the_same(corpus, model, streams, rival):
    task = corpus.task(f"same {model}", model, streams)
    for mix in task.system.mixes.values():
        mix.weight.data = torch.tensor([0.4, 1.3])
    ours = task.system.eval()
    batch = next(iter(task.data.train_dataloader()))
    inputs = {name: padded(corpus.sequences(name, batch.ids)) for name in streams}
    found = rival(ours).eval()(inputs)
    torch.testing.assert_close(found, ours(batch).logits, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    ("case", "limits"),
    [(late_fusion, [0.1, 1.5]), (coattention, [5.5]), (checked, [1.03])],
    ids=["late", "co", "checked"],
)
def test_cases_measure_training(corpus, case, limits):
    measures = case(corpus)
    assert all(math.isfinite(m.value) and m.value > 0 for m in measures)
    assert [m.limit for m in measures if m.limit is not None] == limits
    assert max(len(m.what) for m in measures) <= 44


def test_the_mix_is_measured_in_both_types_with_and_without_normalisation():
    measures = mixing(SCALE)
    assert [m.what for m in measures if m.limit is not None] == [
        "ratio: copy_ to mix, float32",
        "ratio: copy_ to mix, float32, normalised",
        "ratio: copy_ to mix, float16",
        "ratio: copy_ to mix, float16, normalised",
    ]
    assert all(m.value > 0 for m in measures)
    assert max(len(m.what) for m in measures) <= 44
