"""What is refused of a run before there is a folder of it, and without building anything."""

import torch

from sermm.configuration.component import Component
from sermm.configuration.groups import TrainerConfig
from sermm.configuration.verbs import RunConfig
from sermm.core.errors import InputError
from sermm.core.records import Fold
from sermm.encoders.adapter import Lora
from sermm.encoders.precision import device_for, refuse_absent
from sermm.engine.assembly.encoders import encoded_by, encoder_configs
from sermm.runs.slurm.job import current_job, nodes


def refuse_arguments(config: RunConfig) -> None:
    """Finds arguments that no class of the run takes: those of the system and all inside it.

    Encoders that the system does not read are looked at too, as they are part of the run's key.

    Args:
        config: of the run.

    Raises:
        InputError: names one, and those that come near.
    """
    chosen = config.encoder.values() if isinstance(config.encoder, dict) else ()
    encoders = [Component.of(one) for one in chosen if one is not None]
    model = config.model
    for one in (model.system, model.learning.optimizer, config.logger, *encoders):
        one.refuse_unknown()


def refuse_adapters(config: RunConfig) -> None:
    """Finds adapters that are none, or of encoders that do not run live to be trained.

    Args:
        config: of the run.

    Raises:
        InputError: names the key and the way out.
    """
    for encoder in encoder_configs(config.model).values():
        key = f"encoder.{encoded_by(encoder)}.adapter"
        lora = Lora.of(encoder.innermost.given("adapter"), key)
        if lora is not None and config.features.mode != "finetune":
            raise InputError(
                f"{key} is trained, and features={config.features.mode} trains no encoder; use "
                f"features=finetune (the encoder itself stays as it is), or {key}=null"
            )


def refuse_nothing_scored(config: RunConfig, fold: Fold) -> None:
    """Finds a run that withholds its test part and has no other to be scored on.

    Raises:
        InputError: the fold has no validation part.
    """
    if config.withhold_test and not fold.val:
        raise InputError(
            f"protocol {config.protocol.name} has no validation part, and a search "
            "(withhold_test=true) looks at no other; choose a protocol that validates, such as "
            "protocol=loso4_rand10"
        )


def refuse_devices(trainer: TrainerConfig) -> None:
    """Finds devices that are not here; Lightning would say so in the midst of the run.

    Under srun each process may see its own device only, so there they are not counted.

    Args:
        trainer: of the run.

    Raises:
        InputError: there is no GPU, or fewer than the run is to have on this node.
    """
    refuse_absent(trainer.accelerator, "trainer.accelerator")
    if device_for(trainer.accelerator).type == "cpu":
        return
    there = torch.cuda.device_count()
    job, wanted = current_job(), trainer.devices // nodes()
    if wanted > there and (job is None or job.tasks == 1):
        raise InputError(
            f"trainer.devices={trainer.devices}: torch finds {there} GPUs here; use "
            f"trainer.devices={there}, or trainer.accelerator=cpu"
        )
