"""A loss that brings what speech and text say of an utterance near to each other.

Source: Li 2025, section 5.1, names a contrastive loss and no more; sizes and temperature are ours.
With x_i and y_i what speech and text of utterance i came to (`Output.pooled`), z_i = W x_i + c and
v_i = U y_i + d of unit length, t the temperature, and s_ij = z_i . v_j / t:

    loss = weight / 2 (L(s) + L(s^T)),  L(s) = mean_i -1/|P(i)| sum_{j in P(i)} log softmax_j(s_ij)

- `infonce`: P(i) = {i} (van den Oord et al. 2018; symmetric as in Radford et al. 2021).
- `supervised`: P(i) = all j of the batch with the label of i, i itself among them (Khosla et al.
  2020, equation 2, L_out: the sum lies outside of the logarithm). Anchor and the rest are of
  different modalities, so nothing is left out of the softmax.

| equation | code |
| --- | --- |
| x, y | `output.pooled["speech"]`, `output.pooled["text"]` |
| W, c / U, d | `Contrastive.speech`, `Contrastive.text` |
| s | `scores` |
| P(i) | the utterances of the same `groups` |

Utterances that have lost a modality (`Batch.absent`) take no part. Fewer than two left give 0.
With several devices each looks at its own part of the batch. W and U are parameters of the
`Learner`, not of the system: they lie in `last.ckpt`, and are gone when training is over.
"""

from typing import Any

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor, nn

from sermm.core.batch import Batch, Output
from sermm.core.errors import InputError
from sermm.core.seeding import seed_of
from sermm.engine.training.objectives import Objective
from sermm.engine.training.task import Task
from sermm.models.base import labels_of


class Contrastive(Objective):
    """The loss of a batch, in float32 whatever the precision.

    In half precision scores divided by a small temperature would be too coarse to tell apart.

    Args:
        speech: size of the pooled speech x.
        text: size of the pooled text y.
        kind: infonce or supervised.
        weight: of the loss in the sum.
        temperature: t.
        width: of z and v.
    """

    def __init__(
        self, speech: int, text: int, kind: str, weight: float, temperature: float, width: int
    ) -> None:
        super().__init__()
        self.speech, self.text = nn.Linear(speech, width), nn.Linear(text, width)
        self.kind, self.weight, self.temperature = kind, weight, temperature

    def forward(self, batch: Batch, output: Output) -> Float[Tensor, ""]:
        """The loss times its weight.

        Args:
            batch: says labels (for `supervised`) and which utterances have lost a modality.
            output: of the system, with `pooled` `[b speech]` and `[b text]`.
        """
        speech, text = output.pooled["speech"], output.pooled["text"]
        with torch.autocast(speech.device.type, enabled=False):
            z = F.normalize(self.speech(speech.float()), dim=-1)
            v = F.normalize(self.text(text.float()), dim=-1)
            kept = _whole(batch).to(z.device)
            scores = z[kept] @ v[kept].T / self.temperature
            groups = kept if self.kind == "infonce" else labels_of(batch)[kept]
            return self.weight * between(scores, groups)


def between(scores: Float[Tensor, "b b"], groups: Int[Tensor, " b"]) -> Float[Tensor, ""]:
    """(L(s) + L(s^T)) / 2, the positives of an utterance being those of its group.

    Args:
        scores: s, rows are speech and columns text of the same b utterances.
        groups: of each utterance; one that is alone in its group has only itself as a positive.

    Returns:
        The loss; 0, with gradients that are 0, where there is nothing to tell apart.
    """
    if len(scores) < 2:
        return 0.0 * scores.sum()
    alike = (groups[:, None] == groups).float()
    shares = alike / alike.sum(1, keepdim=True)
    ways = torch.stack([scores, scores.T]).log_softmax(-1)
    return -(shares * ways).sum(-1).mean()


def _whole(batch: Batch) -> Int[Tensor, " n"]:
    """The positions of the utterances that have lost nothing."""
    kept = torch.ones(len(batch), dtype=torch.bool)
    for absent in batch.absent.values():
        kept &= ~absent.cpu()
    return kept.nonzero().squeeze(1)


def contrastive(task: Task) -> dict[str, Objective]:
    """The loss of a task, if it has one; nothing else is initialised otherwise for it.

    Args:
        task: whose system is asked what its modalities come to.

    Returns:
        The loss by its name in `metrics.csv`; empty where `remedies.contrastive` is off.

    Raises:
        InputError: the system does not say what its modalities came to.
    """
    asked = task.remedies.contrastive
    if asked is None:
        return {}
    pooled = _pooled_sizes(task)
    # Drawn apart, so that all else is drawn as in a run without this loss.
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed_of(task.config.seed, "init", "contrastive"))
        one = Contrastive(
            pooled["speech"],
            pooled["text"],
            asked.kind,
            asked.weight,
            asked.temperature,
            asked.width,
        )
    return {"contrastive": one}


@torch.no_grad()
def _pooled_sizes(task: Task) -> dict[str, int]:
    """What one training utterance is pooled to, by modality.

    Only a forward pass tells: systems have no common attribute of these widths.

    Raises:
        InputError: the system's output says nothing of both modalities.
    """
    dataset: Any = task.data.loader(task.fold.train[:1]).dataset
    output: Output = task.system.eval()(dataset[0])
    if set(output.pooled) != {"speech", "text"}:
        raise InputError(
            f"remedies.contrastive: {task.config.model.name} does not say what speech and "
            "text came to before they were joined (Output.pooled); set remedies.contrastive=null"
        )
    return {modality: vectors.shape[-1] for modality, vectors in output.pooled.items()}
