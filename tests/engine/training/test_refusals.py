"""What is refused before there is a run folder."""

import pytest
import torch

from sermm.cli.main import main
from sermm.configuration.verbs import RunConfig
from sermm.core.errors import InputError
from sermm.core.records import Fold
from sermm.engine.training.refusals import (
    refuse_adapters,
    refuse_arguments,
    refuse_devices,
    refuse_nothing_scored,
)

MODEL = ["model=speech_only", "encoder/speech=mfcc"]


def config(*words):
    return RunConfig.of([*MODEL, *words])


@pytest.fixture
def gpus(monkeypatch):
    """So many are there."""

    def there(n):
        monkeypatch.setattr(torch.cuda, "is_available", lambda: n > 0)
        monkeypatch.setattr(torch.cuda, "device_count", lambda: n)

    return there


@pytest.mark.parametrize(
    ("n", "words", "said"),
    [
        (0, ["trainer.accelerator=gpu"], "trainer.accelerator=gpu: torch finds no GPU here"),
        (0, ["trainer.accelerator=cuda"], "use trainer.accelerator=cpu, or auto"),
        (1, ["trainer.accelerator=gpu", "trainer.devices=2"], "torch finds 1 GPUs here"),
        (1, ["trainer.devices=2"], "use trainer.devices=1, or trainer.accelerator=cpu"),
    ],
)
def test_devices_that_are_not_here_are_refused(gpus, n, words, said):
    gpus(n)
    with pytest.raises(InputError, match=said):
        refuse_devices(config(*words).trainer)


@pytest.mark.parametrize(
    ("n", "words"),
    [
        (0, ["trainer.devices=2"]),
        (0, ["trainer.accelerator=cpu", "trainer.devices=9"]),
        (2, ["trainer.accelerator=gpu", "trainer.devices=2"]),
        (1, ["trainer.accelerator=cpu", "trainer.devices=2"]),
    ],
)
def test_devices_that_are_here_are_not(gpus, n, words):
    gpus(n)
    refuse_devices(config(*words).trainer)


@pytest.mark.parametrize(
    ("verb", "key"),
    [("extract", "trainer.accelerator"), ("transcribe", "accelerator"), ("align", "accelerator")],
)
def test_other_verbs_do_not_take_the_cpu_in_place_of_a_gpu(gpus, verb, key, capsys):
    gpus(0)
    assert main([verb, "data=demo", f"{key}=gpu"]) == 2
    assert f"{key}=gpu: torch finds no GPU here" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["+model.system.widht=3"], "LateFusion takes no widht"),
        (["+model.system.branch.widht=3"], "LinearBranch takes no widht; it takes width"),
        (["+model.learning.optimizer.lr_=1"], "AdamW takes no lr_; it takes lr"),
        (["+logger.project=x"], "takes no project"),
        # Of an encoder that the system does not read, but that the run's key is made of.
        (["encoder/text=tiny", "+encoder.text.widht=3"], "takes no widht; it takes width"),
    ],
)
def test_arguments_that_nothing_takes_are_refused(words, said):
    with pytest.raises(InputError, match=said):
        refuse_arguments(config(*words))
    refuse_arguments(config("encoder/text=tiny"))


@pytest.mark.parametrize("mode", ["cached", "frozen"])
@pytest.mark.parametrize("modality", ["speech", "text"])
def test_an_adapter_is_of_encoders_that_are_trained(mode, modality):
    words = ["model=late_fusion", "encoder/speech=hf", "encoder/text=hf"]
    adapted = [*words, f"encoder.{modality}.adapter=lora"]
    said = rf"encoder\.{modality}\.adapter is trained.*features={mode}.*use features=finetune"
    with pytest.raises(InputError, match=said):
        refuse_adapters(config(*adapted, f"features={mode}"))
    refuse_adapters(config(*adapted, "features=finetune"))
    refuse_adapters(config(*words, f"features={mode}"))


def test_an_adapter_that_is_none_is_refused_before_there_is_a_run():
    words = ["model=speech_only", "encoder/speech=hf", "features=finetune"]
    with pytest.raises(InputError, match=r"encoder\.speech\.adapter\.rank=0: expected"):
        refuse_adapters(config(*words, "encoder.speech.adapter={rank: 0}"))


def test_a_trial_needs_a_validation_part():
    fold = Fold(1, ("a",), (), ("b",))
    refuse_nothing_scored(config(), fold)
    with pytest.raises(InputError, match="loso4 has no validation part, and a search"):
        refuse_nothing_scored(config("withhold_test=true"), fold)
    refuse_nothing_scored(config("withhold_test=true"), Fold(1, ("a",), ("c",), ("b",)))
