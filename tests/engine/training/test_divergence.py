"""Runs whose numbers are none fail, and say where and what to change."""

from types import SimpleNamespace
from unittest.mock import Mock

import numpy as np
import pytest
import torch
from lightning import LightningModule, Trainer

from sermm.bench.epoch import speech_task
from sermm.configuration.verbs import RunConfig
from sermm.core.batch import Batch
from sermm.core.errors import InputError
from sermm.engine.assembly.inference import refuse_no_numbers
from sermm.engine.training.callbacks import VAL_LOSS, Keeper
from sermm.engine.training.divergence import EVERY, Divergence, ways_out
from sermm.engine.training.fit import fit
from sermm.models.base import System
from sermm.runs.folder import RunFolder

NAN = float("nan")
ONE = Batch(("a",))
LEARNER = Mock(spec=LightningModule, device=torch.device("cpu"))


def config(*words):
    return RunConfig.of(["model=speech_only", "encoder/speech=mfcc", *words])


def trainer(n_batches, at):
    return Mock(
        spec=Trainer,
        strategy=SimpleNamespace(reduce=lambda value, reduce_op: value),
        is_last_batch=at == n_batches,
        num_training_batches=n_batches,
        current_epoch=1,
    )


def trained(losses, watch):
    """Shows it the steps of an epoch, as Lightning does; returns how many it has seen so far."""
    watch.on_train_epoch_start(trainer(len(losses), 0), LEARNER)
    for index, loss in enumerate(losses):
        at = trainer(len(losses), index + 1)
        try:
            watch.on_train_batch_end(at, LEARNER, {"loss": torch.tensor(loss)}, ONE, index)
        except InputError as error:
            return index + 1, str(error)
    return len(losses), ""


@pytest.mark.parametrize("bad", [NAN, float("inf")])
def test_the_first_bad_step_is_named_at_the_end_of_the_epoch(bad):
    seen, said = trained([0.5, 0.4, bad, NAN, NAN], Divergence(config(), False))
    assert seen == 5
    assert "the loss of step 3 of 5 in epoch 2 is no finite number" in said
    assert trained([0.5, 0.4, 1e30], Divergence(config(), False)) == (3, "")


def test_the_end_of_a_long_epoch_is_not_waited_for():
    losses = [0.5] * 7 + [NAN] * (10 * EVERY)
    seen, said = trained(losses, Divergence(config(), False))
    assert seen == EVERY
    assert f"step 8 of {len(losses)}" in said


def test_what_is_said_of_validation_utterances_must_be_numbers():
    watch, at = Divergence(config(), False), trainer(1, 1)
    watch.on_validation_start(at, LEARNER)
    watch.on_validation_batch_end(at, LEARNER, torch.tensor([[0.1, 1e30]]), ONE, 0)
    watch.on_validation_end(at, LEARNER)
    watch.on_validation_start(at, LEARNER)
    logits = torch.tensor([[0.1, 0.2], [NAN, 0.2]])
    watch.on_validation_batch_end(at, LEARNER, logits, Batch(("b", "c")), 0)
    with pytest.raises(InputError, match="1 validation utterances, c among them, in epoch 2"):
        watch.on_validation_end(at, LEARNER)


def test_what_to_change_is_what_the_run_has():
    plain = config("trainer.precision=32-true", "features=frozen", "model.learning.lr=0.01")
    assert ways_out(plain, tuned=False) == ["model.learning.lr=0.001 (now 0.01)"]
    wild = config("trainer.precision=bf16-true", "trainer.clip_norm=null", "features=finetune")
    assert [way.split("=")[0] for way in ways_out(wild, tuned=True)] == [
        "model.learning.lr",
        "model.learning.encoder_lr",
        "trainer.clip_norm",
        "trainer.precision",
    ]


def test_the_rate_of_an_adapter_is_proposed_where_one_is_trained():
    words = ["features=finetune", "trainer.precision=32-true", "trainer.clip_norm=1.0"]
    adapted = config(*words, "encoder/speech=hf", "encoder.speech.adapter=lora")
    rates = [way.split("=")[0] for way in ways_out(adapted, tuned=True)]
    assert "model.learning.adapter_lr" in rates


def test_a_run_that_diverges_fails_and_keeps_nothing_of_that_epoch(tmp_path):
    words = ["trainer.max_epochs=2", "model.learning.lr=1e30", "trainer.clip_norm=null"]
    task = speech_task(tmp_path, 32, [*words, "trainer.batch_size=2"])
    with pytest.raises(InputError, match=r"training diverged.*model\.learning\.lr=0\.001"):
        fit(task)
    assert not task.folder.best.exists()
    assert not task.folder.last.exists()


def test_one_epoch_without_a_figure_is_not_the_best(tmp_path):
    keeper = Keeper(RunFolder(tmp_path), Mock(spec=System), VAL_LOSS, patience=None)
    assert keeper._value({VAL_LOSS: NAN}) == keeper._value({VAL_LOSS: float("inf")})
    assert keeper._value({VAL_LOSS: NAN}) < keeper._value({VAL_LOSS: 1e30})
    assert keeper._value({VAL_LOSS: 0.5}) == -0.5


def test_probabilities_that_are_none_get_no_label():
    refuse_no_numbers(np.array([[0.5, 0.5]]), ["a"])
    with pytest.raises(InputError, match=r"1 of 2 utterances, b among them, is no number"):
        refuse_no_numbers(np.array([[0.5, 0.5], [NAN, 0.5]]), ["a", "b"])
