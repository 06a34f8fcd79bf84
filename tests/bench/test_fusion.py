import math

import pytest
import torch

from sermm.bench.finetune import FinetuneWorkload, PaddedSpeech, Ways, finetune, padding
from sermm.bench.fusion import SYSTEMS, Bench, FusionWorkload, fusion
from sermm.bench.fusion_rows import (
    ALONE,
    ASR,
    CACHED,
    CMGI,
    GATE,
    LOOP,
    ONLY,
    RELEASED,
    latencies,
    printed,
    savings,
    shares,
)
from sermm.bench.models import Sizes, bert, encoder_pair, hubert, utterances
from sermm.bench.timing import Stopwatch, Times

CPU = torch.device("cpu")
D, E, VOCABULARY = 32, 24, 50
SPEECH = {
    "hidden_size": D,
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
    "intermediate_size": 24,
    "conv_dim": (16,) * 7,
    "num_conv_pos_embeddings": 16,
    "num_conv_pos_embedding_groups": 2,
}
TEXT = {
    "hidden_size": E,
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
    "intermediate_size": 24,
    "vocab_size": VOCABULARY,
}
SIZES = Sizes(SPEECH, TEXT)
SCALE = FusionWorkload(SIZES, seconds=0.5, batches=(1, 2), alone=(0.2, 0.4))


@pytest.fixture(scope="module", autouse=True)
def _on_a_cpu():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(torch.cuda, "is_available", lambda: False)
        yield


@pytest.fixture(scope="module")
def bench(tmp_path_factory):
    return Bench(SCALE, tmp_path_factory.mktemp("recogniser"))


def by_name(measures):
    found = {m.what: m for m in measures}
    assert len(found) == len(measures)
    assert max(map(len, found)) <= 52
    assert all(math.isfinite(m.value) for m in measures)
    return found


def test_times_add_up_turn_by_turn():
    times = Times((1.0, 3.0, 9.0)).after(Times((0.5, 0.1, 0.2)))
    assert times.turns == (1.5, 3.1, 9.2)
    assert times.median == 3.1
    assert times.unit == "s (1.500 to 9.200, n=3)"


def test_what_was_not_measured_says_so():
    times = Times(guess=2.0).after(Times(guess=0.5))
    assert times.median == 2.5
    assert times.unit.startswith("s, NOT measured")


@pytest.mark.parametrize(
    ("budget_s", "guess", "calls", "turns"),
    [
        pytest.param(0.0, None, 6, 5, id="always"),
        pytest.param(math.inf, 19.0, 6, 5, id="guessed"),
        pytest.param(math.inf, 21.0, 1, 1, id="slow"),
        pytest.param(100.0, 10.0, 0, 0, id="2 x 6 x 10 s are over the budget"),
        pytest.param(100.0, 40.0, 1, 1, id="2 x 40 s are not"),
    ],
)
def test_warm_up_turns_and_budget(budget_s, guess, calls, turns):
    called = []
    passes = {name: lambda name=name: called.append(name) for name in "ab"}
    guesses = None if guess is None else dict.fromkeys("ab", guess)
    found = Stopwatch(CPU, budget_s).measure(passes, guesses)
    assert called == [*"abba" * (calls // 2), *"ab" * (calls % 2)]
    assert {name: len(times.turns) for name, times in found.items()} == dict.fromkeys("ab", turns)
    assert turns or found["a"].median == guess


def test_the_fusion_is_what_the_encoders_are_not(bench):
    encoders = sum(p.numel() for e in bench.live[GATE].encoders.values() for p in e.parameters())
    rows = by_name(bench.parameters())
    assert len(rows) == 2 * len(SYSTEMS)
    for name in SYSTEMS:
        fusion_m, whole_m = (
            rows[f"{name}: parameters of the {p}"].value for p in ("fusion", "whole")
        )
        assert whole_m - fusion_m == pytest.approx(encoders / 1e6)
    # W, b; W_p, b_p; the classifier; two norms.
    gate = (2 * D * D + D) + (E * D + D) + (2 * D * 4 + 4) + (2 * D + 2 * E)
    assert rows["single_gate: parameters of the fusion"].value == gate / 1e6


def test_flops_of_the_gate_by_hand(bench):
    flops = bench.flops()
    # Of half a second: 8000 samples give 24 frames, 2 tokens and [CLS] and [SEP].
    t, m = 24, 4
    attention = 2 * (2 * t * m * D + 2 * t * m * D)
    gate = 2 * (t + m) * 2 * D * D
    assert flops["single_gate: fusion"] == 2 * m * E * D + attention + gate + 2 * 2 * D * 4
    encoders = {name: flops[f"{name}: whole"] - flops[f"{name}: fusion"] for name in SYSTEMS}
    assert set(encoders.values()) == {encoders[GATE]}
    assert flops[ASR] > 0


def test_training_steps_train_one_system_only(bench):
    batch = bench.batch(2, 0.5)
    before = {n: [p.clone() for p in s.parameters()] for n, s in bench.given.items()}
    bench._train(bench.live[GATE], batch)()
    assert all(
        torch.equal(p, old)
        for n, s in bench.given.items()
        for p, old in zip(s.parameters(), before[n], strict=True)
    )
    assert bench.live[GATE].gate.linear.weight.grad.abs().sum() > 0
    assert bench.live[CMGI].classifier.weight.grad is None


def test_every_setting_is_measured():
    rows = by_name(fusion(SCALE))
    for size in (1, 2):
        for kind in ("train", "infer"):
            for name in SYSTEMS:
                cached, loop = (rows[f"{name}, {size}: {kind}, {s}"] for s in (CACHED, LOOP))
                assert loop.unit.endswith("n=5)")
                assert loop.value > 0
                assert cached.value > 0
            assert rows[f"asr, {size}: {kind}, by itself"].value > 0
            for setting in (ONLY, CACHED, LOOP):
                assert f"gate for CmGI saves, {size}: {kind}, {setting}" in rows
                assert f"gate for cmgi_released saves, {size}: {kind}, {setting}" in rows


def test_what_does_not_fit_the_budget_is_scaled_up_from_batch_1(tmp_path):
    table = Bench(FusionWorkload(SIZES, 0.3, (1, 2), (), budget_s=0.0), tmp_path).times()
    assert table["train", 2, ONLY, CMGI].turns
    assert not table["train", 2, CACHED, CMGI].turns
    one, two = (table["train", size, LOOP, CMGI].median for size in (1, 2))
    assert two == pytest.approx(2 * one, rel=0.5)
    assert not any(", 2: train, ASR" in m.what for m in savings(table))


def table_of(only, cached, asr):
    """The gate takes a quarter of CmGI's head, its own class half of it; one utterance."""
    table = {}
    for kind in ("train", "infer"):
        table[kind, 1, ALONE, ASR] = Times((asr,))
        for name, head in ((GATE, only / 4), (CMGI, only), (RELEASED, only / 2)):
            whole = Times((cached - only + head,) * 3)
            table[kind, 1, ONLY, name] = Times((head,) * 3)
            table[kind, 1, CACHED, name] = whole
            table[kind, 1, LOOP, name] = whole.after(Times((asr,) * 3))
    return table


def test_shares_and_savings_by_hand():
    table = table_of(only=4.0, cached=100.0, asr=60.0)
    flops = {ASR: 60.0, "cmgi: fusion": 4.0, "cmgi: whole": 100.0}
    rows = by_name(shares([CMGI], flops, table))
    assert rows["cmgi: part of FLOP, ASR cached"].value == 4.0
    assert rows["cmgi: part of FLOP, ASR in loop"].value == 2.5
    assert rows["cmgi: part of train, ASR cached"].value == 4.0
    assert rows["cmgi: part of infer, ASR in loop"].value == 2.5
    rows = by_name(savings(table))
    assert rows["gate for CmGI saves, 1: train, fusion only"].value == 75.0
    assert rows["gate for cmgi_released saves, 1: train, fusion only"].value == 50.0
    assert rows["gate for cmgi_released saves, 1: infer, ASR cached"].value == pytest.approx(
        100 / 98
    )
    assert rows["gate for CmGI saves, 1: train, ASR cached"].value == pytest.approx(3.0)
    assert rows["gate for CmGI saves, 1: infer, ASR in loop"].value == pytest.approx(100 * 3 / 160)
    assert rows["gate for CmGI saves, as stated: train"].value == 43
    assert rows["gate for CmGI saves, as stated: infer"].value == 38


def test_the_papers_own_times_stand_beside_what_it_states_as_its_own():
    table = table_of(only=4.0, cached=100.0, asr=60.0)
    rows = by_name(savings(table))
    assert rows["paper's single_gate: the test set"].value == 59.17
    assert rows["paper's cmgi: the test set"].value == 209.54
    epoch = rows["paper's single_gate: an epoch"]
    assert (epoch.value, epoch.unit[:18]) == (272.39, "s, up to 298.57 s ")
    assert rows["paper's cmgi: an epoch"].unit.startswith("s, up to 925.40 s ")
    infer, train = (
        rows[f"gate for CmGI saves, by the paper's times: {k}"] for k in ("infer", "train")
    )
    assert round(infer.value, 1) == 71.8
    assert "up to" not in infer.unit
    # 1 - 298.57 / 874.27 and 1 - 272.39 / 925.40.
    assert round(train.value, 1) == 65.8
    assert train.unit.startswith("%, up to 70.6 %")
    assert all("not measured here" in one.unit for one in printed())


@pytest.mark.parametrize(("only", "reach"), [(4.0, "out of reach"), (40.0, "within reach")])
def test_what_follows_depends_on_what_was_measured(only, reach):
    rows = by_name(savings(table_of(only, cached=100.0, asr=60.0)))
    row = rows["no fusion for CmGI saves: infer"]
    assert row.value == only
    assert row.unit == f"% at most: 38 % is {reach} of any fusion while the encoders run"


def test_latency_by_hand():
    rows = by_name(latencies({5.0: (Times((1.0,) * 5), Times((1.5,) * 5))}))
    assert rows["single_gate, 5 s alone, ASR cached"].value == 1.5
    assert rows["single_gate, 5 s alone, ASR in loop: RTF"].value == 0.5


def test_padding_by_hand():
    clips = [torch.zeros(n) for n in (1, 3, 2, 2)]
    assert padding(clips, [[0, 1], [2, 3]]).value == (6 + 4) / 8
    assert padding(clips, [[0, 2], [1, 3]]).value == (4 + 6) / 8


@torch.no_grad()
def test_padded_speech_is_ours_without_padding_and_more_frames_with_it():
    padded = PaddedSpeech(hubert(SIZES)).eval()
    ours = encoder_pair(hubert(SIZES), bert(SIZES))["speech"].eval()
    alike = utterances([torch.randn(4000), torch.randn(4000)], VOCABULARY)
    torch.testing.assert_close(padded(alike).values, ours(alike).values, rtol=1e-4, atol=1e-5)
    unlike = utterances([torch.randn(8000), torch.randn(4000)], VOCABULARY)
    assert padded(unlike).sizes == [24, 24]
    assert ours(unlike).sizes == [24, 12]


def test_theirs_trains_the_front_end_and_ours_does_not():
    ways = Ways(SIZES)
    first = next(ways._padded.feature_extractor.parameters())
    last = ways._pair["speech"].hf.encoder.layers[0].attention.q_proj.weight
    assert last is ways._padded.encoder.layers[0].attention.q_proj.weight
    clips = [torch.randn(4000), torch.randn(5000)]
    for run, options, trained in (
        (ways.theirs, {}, True),
        (ways.ours, {}, False),
        (ways.ours, {"half": True, "whole": True}, True),
    ):
        before = first.clone(), last.clone()
        epoch = run(clips, [[0, 1]], **options)
        assert torch.equal(first, before[0]) is not trained
        assert not torch.equal(last, before[1])
        assert ("recogniser" in epoch.parts) is (run == ways.theirs)
        assert epoch.whole == sum(epoch.parts.values())


@pytest.mark.parametrize("fast", [True, False])
def test_finetune_is_judged_where_bfloat16_is_fast(monkeypatch, fast):
    monkeypatch.setattr("sermm.bench.finetune.bfloat16_is_fast", lambda _: fast)
    rows = by_name(finetune(FinetuneWorkload(SIZES, clips=4)))
    limits = {what: m.limit for what, m in rows.items() if m.limit is not None}
    assert limits == ({"ours, bfloat16: to theirs": 1 / 3} if fast else {})
    assert rows["theirs: computed for real"].value > 1
    assert rows["ours, float32: to theirs"].value == pytest.approx(
        rows["ours, float32: epoch"].value / rows["theirs: epoch"].value
    )
