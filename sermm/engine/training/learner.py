"""The one LightningModule: trains any system that maps a `Batch` to an `Output`.

With z the logits `[b k]`, or `[p b k]` of parts that are trained each by itself (`Output.apart`):

    loss = (1 - sum_o takes_o) sum_p CE(z_p, label) + sum_l l + sum_o o

l are the system's own losses (`Output.losses`), o the `Objective`s beside it, which may take the
place of a share of the labels. CE is weighted by class and smoothed as `model.learning` says;
on validation it is neither, so that losses of different settings can be compared.

Parameters learn at different rates: pre-trained encoders gently (`encoder_lr`, less the deeper the
layer), residuals of word embeddings at `embedding_lr`, adapters at `adapter_lr`, all else at `lr`.
"""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from operator import itemgetter
from typing import Any, Final

import torch
import torch.nn.functional as F
from jaxtyping import Float
from lightning import LightningModule
from lightning.pytorch.utilities.types import OptimizerLRSchedulerConfig
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LambdaLR
from torchmetrics.classification import MulticlassConfusionMatrix

from sermm.configuration.groups import LearningConfig
from sermm.core.batch import Batch, Output
from sermm.core.errors import InputError
from sermm.encoders.hf.base import transformers_in
from sermm.encoders.hf.gdes import residuals_in
from sermm.encoders.modality_dropout import ModalityDropout, lost
from sermm.engine.assembly.build import load_weights, weights
from sermm.engine.training.objectives import Objective
from sermm.engine.training.schedule import schedule
from sermm.metrics.scores import scores
from sermm.models.base import System, labels_of

# The mean loss of parts that are trained each by itself, as it is logged.
OF_PARTS: Final = "parts_loss"


class Learner(LightningModule):
    """Cross-entropy plus the system's own losses; scores from one confusion matrix an epoch.

    Args:
        system: the recogniser.
        learning: how it learns.
        class_counts: training utterances of each of the k classes, in their order.
        objectives: further losses by name.
        p_lost: how likely an utterance loses a modality in training.

    Attributes:
        class_weight: `[k]`, n / (k n_c) of n training utterances and n_c of the class; None: all
            classes weigh alike.
        label_share: what the objectives leave to the loss of the labels, 0..1.
    """

    class_weight: Tensor | None

    def __init__(
        self,
        system: System,
        learning: LearningConfig,
        class_counts: Mapping[str, int],
        objectives: Mapping[str, Objective] | None = None,
        p_lost: float = 0.0,
    ) -> None:
        super().__init__()
        # `on_load_checkpoint` checks strictly, but knows what was left out on purpose.
        self.strict_loading = False
        self.system = system
        self.learning = learning
        self.p_lost = p_lost
        self.classes = tuple(class_counts)
        k, counts = len(class_counts), torch.tensor([float(n) for n in class_counts.values()])
        weight = counts.sum() / (k * counts) if learning.class_weights else None
        self.register_buffer("class_weight", weight, persistent=False)
        self.confusion = MulticlassConfusionMatrix(k)
        self.objectives = nn.ModuleDict(objectives or {})
        self.label_share = 1.0 - sum(one.takes for one in (objectives or {}).values())

    def forward(self, batch: Batch) -> Output:
        """The system's output, in the precision of Lightning's context."""
        output: Output = self.system(batch)
        return output

    def training_step(self, batch: Batch, batch_idx: int) -> Float[Tensor, ""]:  # noqa: ARG002
        """The loss of one batch; logs it, its parts, and the share that is right.

        With several devices Lightning averages the gradients, and the figures too.
        """
        if self.p_lost:
            absent = {k: v.to(self.device) for k, v in lost(len(batch), self.p_lost).items()}
            batch = replace(batch, absent=absent)
        output = self(batch)
        trained = output.logits[None] if output.apart is None else output.apart
        labels = labels_of(batch)
        further = dict(output.losses)
        further |= {name: one(batch, output) for name, one in self.objectives.items()}
        of_labels = torch.stack([self._loss(logits, labels) for logits in trained])
        loss = torch.stack([self.label_share * of_labels.sum(), *further.values()]).sum()
        if output.apart is not None:
            # Of each part's own logits: no loss that validation, which is of their sum, has too.
            further[OF_PARTS] = of_labels.mean()
        elif further:
            # Alone it compares with the loss on validation.
            further["label_loss"] = of_labels.mean()
        values = {
            "train/loss": loss.detach(),
            # Weighted by the size of the batches, the mean is the share over the epoch.
            "train/wa": (output.logits.argmax(-1) == labels).float().mean(),
            **{f"train/{k}": v.detach() for k, v in further.items()},
        }
        self.log_dict(values, on_step=False, on_epoch=True, batch_size=len(batch), sync_dist=True)
        return loss

    def _loss(self, logits: Float[Tensor, "b k"], labels: Tensor) -> Float[Tensor, ""]:
        """Cross-entropy in float32; the mean over the batch, weighted by class."""
        return F.cross_entropy(
            logits.float(),
            labels,
            weight=self.class_weight,
            label_smoothing=self.learning.label_smoothing,
        )

    def validation_step(self, batch: Batch, batch_idx: int) -> Float[Tensor, "b k"]:  # noqa: ARG002
        """Counts predictions; the loss is the mean over utterances. Gives the logits.

        So are the system's measures on itself.
        """
        output: Output = self(batch)
        labels = labels_of(batch)
        self.confusion.update(output.logits, labels)
        loss = F.cross_entropy(output.logits.float(), labels)
        values = {"val/loss": loss}
        values |= {f"val/{name}": measured.mean() for name, measured in output.measures.items()}
        self.log_dict(values, batch_size=len(batch), on_epoch=True, sync_dist=True)
        return output.logits

    def on_validation_epoch_end(self) -> None:
        """Recalls of the classes that occur, UA, WA and macro F1 of the whole validation part.

        From the matrix of all devices together: scores of batches or devices are never averaged.
        """
        found = scores(self.confusion.compute().cpu().numpy())
        self.confusion.reset()
        recalls = zip(self.classes, found.recall, strict=True)
        values = {f"val/recall_{name}": value for name, value in recalls if value is not None}
        values |= {"val/ua": found.ua, "val/wa": found.wa, "val/f1_macro": found.f1_macro}
        self.log_dict(values, sync_dist=True)

    def configure_optimizers(self) -> OptimizerLRSchedulerConfig:
        """One optimiser with a group per part, and its schedule by step.

        A step is one of the optimiser, after `trainer.accumulate` batches on every device.
        """
        options = self.learning
        optimizer = optimizer_of(self.system, options, self.objectives.parameters())
        steps = int(self.trainer.estimated_stepping_batches)
        rate = schedule(options.schedule, options.warmup, steps)
        scheduler = LambdaLR(optimizer, rate)
        return {
            "optimizer": optimizer,
            "lr_scheduler": {"scheduler": scheduler, "interval": "step"},
        }

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Checkpoints hold the weights to keep only.

        A frozen encoder can be had again from where it came from; without it a checkpoint is small.
        """
        kept = {f"system.{key}": value for key, value in weights(self.system).items()}
        own = self.objectives.state_dict(prefix="objectives.")
        checkpoint["state_dict"] = {**kept, **own}

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Takes them back; anything missing or left over is an error.

        Raises:
            InputError: the weights are of another system.
        """
        state = _below("system.", checkpoint["state_dict"])
        load_weights(self.system, state, source="the checkpoint")
        self.objectives.load_state_dict(_below("objectives.", checkpoint["state_dict"]))


def _below(prefix: str, state: Mapping[str, Any]) -> dict[str, Any]:
    """The entries of a state whose key begins so, without that beginning."""
    return {k.removeprefix(prefix): v for k, v in state.items() if k.startswith(prefix)}


def optimizer_of(
    system: System, options: LearningConfig, others: Iterable[nn.Parameter] = ()
) -> Optimizer:
    """The optimiser of a system; its state begins with the first step.

    The arguments are those of `parameter_groups`.

    Raises:
        InputError: it refuses its arguments, or is none, or as `parameter_groups`.
    """
    groups = list(parameter_groups(system, options, others))
    try:
        made = options.optimizer.make()(groups, lr=options.lr)
    except (TypeError, ValueError) as error:
        raise InputError(
            f"model.learning.optimizer: {options.optimizer} cannot be made: {error}"
        ) from error
    if not isinstance(made, Optimizer):
        raise InputError(f"model.learning.optimizer: {options.optimizer} is no optimiser of torch")
    return made


def parameter_groups(
    system: System, options: LearningConfig, others: Iterable[nn.Parameter] = ()
) -> Iterable[dict[str, Any]]:
    """Trained parameters by part (pre-trained encoders, rest), depth, and whether they decay.

    The order of the groups follows from rates and kinds, not from that of modules. Only matrices
    decay: biases, norms and scalars have no weight decay.

    Args:
        system: the recogniser.
        options: how it learns.
        others: parameters that belong to no system, and learn as what starts from random weights.

    Returns:
        Groups as torch's optimisers take them, each with a rate and a decay of its own.

    Raises:
        InputError: nothing is to be trained, or no such layer decay.
    """
    tuned = tuned_rates(system, options)
    residuals = {id(p) for part in residuals_in(system) for p in part.parameters()}
    groups: dict[tuple[bool, bool, float, bool], list[nn.Parameter]] = {}
    for p in (*system.parameters(), *others):
        if p.requires_grad:
            rate = tuned.get(id(p), options.lr)
            kind = (id(p) in residuals, id(p) in tuned, rate, p.ndim >= 2)
            groups.setdefault(kind, []).append(p)
    if not groups:
        raise InputError("nothing in this system is to be trained; see features.trainable")
    for kind, part in sorted(groups.items(), key=itemgetter(0), reverse=True):
        *_, rate, matrices = kind
        decay = options.weight_decay if matrices else 0.0
        yield {"params": part, "lr": rate, "weight_decay": decay}


def tuned_rates(system: System, options: LearningConfig) -> dict[int, float]:
    """The rate of each parameter that does not learn with `lr`, by its id().

    Those are the parameters of pre-trained encoders, their adapters, and residuals of word
    embeddings if they have a rate of their own. Layer l of L learns with
    encoder_lr * layer_decay^(L - l).

    Args:
        system: the recogniser.
        options: how it learns.

    Raises:
        InputError: the decay is not above 0 and at most 1.
    """
    decay = options.layer_decay
    if not 0 < decay <= 1:
        raise InputError(
            f"model.learning.layer_decay={decay}: expected a number above 0 and up to 1 "
            "(1 = the same rate for all layers)"
        )
    rates: dict[int, float] = {}
    for encoder in system.encoders.values():
        if encoder.pretrained:
            # What stands in for lost states starts from random weights.
            own = encoder.encoder if isinstance(encoder, ModalityDropout) else encoder
            rates |= {id(p): options.encoder_lr for p in own.parameters()}
            for part in transformers_in(encoder):
                for below_top, parameters in enumerate(reversed(part.by_depth())):
                    rates |= {id(p): options.encoder_lr * decay**below_top for p in parameters}
    for part in transformers_in(system):
        rates |= {id(p): options.adapter_lr for p in part.of_adapter()}
    if options.embedding_lr is not None:
        for embedding in residuals_in(system):
            rates |= {id(p): options.embedding_lr for p in embedding.parameters()}
    return rates
