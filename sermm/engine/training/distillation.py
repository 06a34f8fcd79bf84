"""Distillation: what a student learns of the softened classes of a finished run, its teacher.

Source: Hinton, Vinyals and Dean 2015, "Distilling the Knowledge in a Neural Network", section 2.

The loss, and what result and report say of a teacher. Which run may teach stands in `teacher`, what
it says of the training utterances in `teaching`.
"""

from collections.abc import Mapping, Sequence

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from sermm.configuration.groups import TeacherRecord
from sermm.configuration.verbs import RunConfig
from sermm.core.batch import Batch, Output
from sermm.engine.training.objectives import Objective
from sermm.runs.result import Parameters, Teacher


class Distillation(Objective):
    """w T^2 KL(softmax(z_t / T) || softmax(z_s / T)), the mean over the utterances of a batch.

    z_t are the teacher's logits and z_s the student's, T the temperature. The labels keep the share
    1 - w. T^2 undoes that gradients through softened classes shrink with 1 / T^2.

    Args:
        teacher: log-probabilities `[k]` at T = 1 by utterance id, in the order of the student's
            classes; they are logits less a constant, which a softmax does not see.
        weight: w, 0..1.
        temperature: T, above 0.

    Attributes:
        takes: w, which the loss of the labels gives up.
        targets: log softmax(z_t / T), `[n k]` of the n training utterances.
        rows: where in `targets` an utterance is, by id.
    """

    targets: Tensor

    def __init__(
        self, teacher: Mapping[str, Sequence[float]], weight: float, temperature: float
    ) -> None:
        super().__init__()
        self.takes = weight
        self.temperature = temperature
        self.rows = {utterance_id: row for row, utterance_id in enumerate(teacher)}
        softened = torch.tensor(list(teacher.values())) / temperature
        # Not a part of checkpoints: the run folder has it already.
        self.register_buffer("targets", softened.log_softmax(-1), persistent=False)

    def forward(self, batch: Batch, output: Output) -> Float[Tensor, ""]:
        """The weighted loss of a training batch, in float32 whatever the precision.

        Args:
            batch: training utterances, whose ids the teacher knows.
            output: of the student, logits `[b k]`.
        """
        rows = torch.tensor([self.rows[i] for i in batch.ids], device=self.targets.device)
        student = (output.logits.float() / self.temperature).log_softmax(-1)
        divergence = F.kl_div(student, self.targets[rows], reduction="batchmean", log_target=True)
        return self.takes * self.temperature**2 * divergence


def teacher_name(teacher: TeacherRecord) -> str:
    """Its variant and size, for the rows of a table; the size tells it from its namesakes."""
    return f"{teacher.variant}:{teacher.parameters['total'] / 1e6:.2g}M"


def teacher_setting(config: RunConfig) -> dict[str, str]:
    """The teacher as a setting, so that rows of students are told from those without one.

    Returns:
        One entry beside the user's overrides in the result's `settings`; empty without a teacher.
    """
    teacher = config.taught_by
    return {} if teacher is None else {"teacher": teacher_name(teacher)}


def taught(config: RunConfig) -> Teacher | None:
    """What the result says of the teacher, whether or not its folder is still there."""
    teacher = config.taught_by
    if teacher is None:
        return None
    fields = teacher.model_dump(include={"key", "model", "variant", "ua"})
    return Teacher(**fields, parameters=Parameters(**teacher.parameters))
