"""The loss between modalities, and what remedies refuse."""

import math
from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F

from sermm.bench.epoch import speech_task
from sermm.configuration.verbs import RunConfig
from sermm.core.batch import Batch, Output
from sermm.core.errors import InputError
from sermm.engine.assembly.remedies import NONE, described, p_lost, remedies_of
from sermm.engine.training.contrastive import Contrastive, between, contrastive
from sermm.engine.training.fit import class_counts
from sermm.engine.training.learner import Learner, parameter_groups

ALL = ["remedies=li2025", "remedies.modality_dropout.fill=learned"]
TINY = ["encoder/speech=tiny", "encoder/text=tiny"]
# What the demo's experiment says of its own speech encoder.
MFCC = ("n_mfcc", "centred", "pitch", "augment", "channels", "stride", "hidden")
WITHOUT_MFCC = [f"~encoder.speech.{name}" for name in MFCC]


def plain(*words):
    return RunConfig.of([*TINY, *words])


def loss_of(kind, weight=1.0, temperature=0.5, width=2):
    """Of two modalities of two numbers each, which are projected to themselves."""
    one = Contrastive(2, 2, kind, weight, temperature, width)
    for linear in (one.speech, one.text):
        linear.weight.data, linear.bias.data = torch.eye(2), torch.zeros(2)
    return one


def output_of(speech, text):
    pooled = {"speech": torch.tensor(speech), "text": torch.tensor(text)}
    b = len(speech)
    return Output(torch.zeros(b, 2), torch.zeros(b, 1), pooled=pooled)


def batch_of(labels, absent=None):
    ids = tuple(f"u{i}" for i in range(len(labels)))
    return Batch(ids, label=torch.tensor(labels), absent=absent or {})


# Of unit length: (1, 0), (0.6, 0.8) and (0, 1), (0.6, 0.8).
SPEECH, TEXT = [[2.0, 0.0], [3.0, 4.0]], [[0.0, 5.0], [0.6, 0.8]]
# z_i . v_j / 0.5
SCORES = [[0.0, 1.2], [1.6, 2.0]]


def test_infonce_by_hand():
    (a, b), (c, d) = [[math.exp(x) for x in row] for row in SCORES]
    rows = -math.log(a / (a + b)) - math.log(d / (c + d))
    columns = -math.log(a / (a + c)) - math.log(d / (b + d))
    found = loss_of("infonce", weight=0.1)(batch_of([0, 0]), output_of(SPEECH, TEXT))
    assert found.item() == pytest.approx(0.1 * (rows + columns) / 4, rel=1e-5)


def test_supervised_by_hand():
    scores = torch.tensor([[0.0, 1.0, 2.0], [1.0, 0.0, 1.0], [0.5, 0.0, 3.0]])
    # The first and the last are of one label.
    ways = [
        [(s[0][0], s[0][2]), (s[1][1],), (s[2][0], s[2][2])]
        for s in (scores.log_softmax(1), scores.T.log_softmax(1))
    ]
    means = [-sum(sum(one) / len(one) for one in way) / 3 for way in ways]
    found = between(scores, torch.tensor([1, 0, 1]))
    assert found.item() == pytest.approx(float(sum(means)) / 2, rel=1e-6)
    # Each label once: InfoNCE.
    alone = between(scores, torch.tensor([1, 0, 2]))
    target = torch.arange(3)
    expected = (F.cross_entropy(scores, target) + F.cross_entropy(scores.T, target)) / 2
    torch.testing.assert_close(alone, expected)


@pytest.mark.parametrize("groups", [[0, 1, 2, 3], [0, 1, 0, 0]])
def test_gradient_is_that_of_finite_differences(groups):
    torch.manual_seed(0)
    scores = torch.randn(4, 4, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda s: between(s, torch.tensor(groups)), (scores,))


@pytest.mark.parametrize("kind", ["infonce", "supervised"])
def test_one_utterance_costs_nothing_and_gives_a_finite_gradient(kind):
    one = loss_of(kind)
    found = one(batch_of([0]), output_of(SPEECH[:1], TEXT[:1]))
    assert found.item() == 0
    found.backward()
    assert all((p.grad == 0).all() for p in one.parameters())


def test_utterances_that_have_lost_a_modality_take_no_part():
    speech, text = [*SPEECH, [9.0, -9.0]], [*TEXT, [-1.0, 0.0]]
    one = loss_of("supervised")
    absent = {"speech": torch.tensor([False] * 3), "text": torch.tensor([False, False, True])}
    found = one(batch_of([0, 0, 0], absent), output_of(speech, text))
    expected = one(batch_of([0, 0]), output_of(SPEECH, TEXT))
    torch.testing.assert_close(found, expected)
    everybody = {"speech": torch.tensor([True] * 3)}
    assert one(batch_of([0, 0, 0], everybody), output_of(speech, text)).item() == 0


def test_half_precision_is_computed_in_float32():
    one, given = loss_of("infonce"), output_of(SPEECH, TEXT)
    expected = one(batch_of([0, 1]), given)
    half = replace(given, pooled={k: v.bfloat16() for k, v in given.pooled.items()})
    with torch.autocast("cpu", torch.bfloat16):
        found = one(batch_of([0, 1]), half)
    assert found.dtype == torch.float32
    # What is pooled here has no more digits than bfloat16 has, but for 0.6 and 0.8.
    torch.testing.assert_close(found, expected, rtol=2e-3, atol=0)


@pytest.fixture
def task(tmp_path):
    return speech_task(tmp_path, 8, [*TINY, *WITHOUT_MFCC, *ALL])


def test_the_head_has_initial_weights_of_its_own_and_moves_nothing_else(task):
    before = torch.get_rng_state()
    one, again = contrastive(task)["contrastive"], contrastive(task)["contrastive"]
    assert torch.equal(torch.get_rng_state(), before)
    assert torch.equal(one.speech.weight, again.speech.weight)
    assert one.speech.weight.shape[0] == one.text.weight.shape[0] == 128
    other = replace(task, config=task.config.changed({"seed": task.config.seed + 1}))
    assert not torch.equal(contrastive(other)["contrastive"].speech.weight, one.speech.weight)


def test_a_training_step_loses_modalities_and_adds_the_loss(task):
    objectives = contrastive(task)
    learner = Learner(task.system, task.config.model.learning, class_counts(task), objectives, 1.0)
    learner.log_dict = lambda values, **_: seen.append(values)
    seen, heard = [], []
    batch = next(iter(task.data.train_dataloader()))
    task.system.train().register_forward_pre_hook(lambda _, given: heard.append(given[0].absent))
    learner.training_step(batch, 0)
    assert (heard[0]["speech"] ^ heard[0]["text"]).all()
    # All have lost one.
    assert seen[0]["train/contrastive"].item() == 0
    learner.p_lost = 0.0
    learner.training_step(batch, 0)
    assert heard[1] == {}
    assert seen[1]["train/contrastive"].item() > 0


def test_learned_vectors_and_the_head_learn_with_lr(tmp_path):
    demo = ["encoder/speech=demo", "encoder/text=demo", f"cache_dir={tmp_path}", *WITHOUT_MFCC]
    task = speech_task(tmp_path, 8, [*demo, *ALL, "model.learning.encoder_lr=0.002"])
    head = list(contrastive(task)["contrastive"].parameters())
    groups = list(parameter_groups(task.system, task.config.model.learning, head))
    rate = {id(p): group["lr"] for group in groups for p in group["params"]}
    encoders = task.system.encoders.values()
    lr = task.config.model.learning.lr
    assert [rate[id(encoder.fill)] for encoder in encoders] == [lr, lr]
    assert {rate[id(p)] for p in head} == {lr}
    inside = [p for encoder in encoders for p in encoder.encoder.parameters() if p.requires_grad]
    assert {rate[id(p)] for p in inside} == {0.002}


def test_a_system_that_does_not_say_what_it_pooled_is_named(task):
    class Silent(type(task.system)):
        def forward(self, batch):
            return replace(super().forward(batch), pooled={})

    task.system.__class__ = Silent
    with pytest.raises(InputError, match=r"remedies\.contrastive: late_fusion does not say"):
        contrastive(task)


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["remedies.contrastive.kind=x"], r"contrastive\.kind=x: expected infonce or supervised"),
        (["remedies.contrastive.weight=0"], r"contrastive\.weight=0: expected a number above 0"),
        (["remedies.contrastive.temperature=-1"], r"contrastive\.temperature=-1: .* above 0"),
        (["remedies.contrastive.width=1.5"], r"contrastive\.width=1.5: expected a whole number"),
        (["remedies.contrastive.weight=true"], r"contrastive\.weight=True: expected a number"),
        (["remedies.modality_dropout.p=1.1"], r"modality_dropout\.p=1.1: .* from 0 to 1"),
        (["remedies.modality_dropout.fill=one"], r"fill=one: expected zero or learned"),
        (["~remedies.modality_dropout.fill"], r"modality_dropout\.fill is missing"),
        (["model=speech_only"], r"remedies\.contrastive needs .* speech_only reads no text"),
        (["model=text_only"], r"remedies\.contrastive needs .* text_only reads no speech"),
        (["model=caf"], r"caf reads no text; set remedies=none"),
    ],
)
def test_wrong_settings_and_systems_are_refused(words, says):
    with pytest.raises(InputError, match=says):
        remedies_of(plain("remedies=li2025", *words))


def test_off_by_default_and_without_effect_on_floors():
    assert remedies_of(plain()) == NONE
    assert remedies_of(plain("remedies=li2025", "model=lookup")) == NONE
    one = remedies_of(plain("remedies=li2025"))
    assert described(one) == (
        "contrastive (kind infonce, weight 0.1, temperature 0.07, width 128), "
        "modality_dropout (p 0.1, fill zero)"
    )
    assert p_lost(one) == 0.1
