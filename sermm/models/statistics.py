"""Classic classifiers on statistics of each utterance's states: what deep systems must beat.

- `LogisticRegression` on mean states: what frozen encoders know without a system on top, the
  "linear probe" of the literature. A system that falls short of it has learned badly.
- `SVM` on means and deviations of MFCC and pitch: emotion recognition before neural networks.

Both by scikit-learn, on values of zero mean and unit variance over the training part.
"""

from collections.abc import Mapping
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor

from sermm.core.batch import Batch, Output
from sermm.core.errors import InputError
from sermm.encoders.base import Encoder
from sermm.models.base import CountingSystem, StreamSystem, labels_of

_DEVIATION = 1e-6


class Statistical(CountingSystem, StreamSystem):
    """What both share: the statistics of all streams in a row, and those of the training part.

    Encoders stay as they are.

    Args:
        streams: encoders by name.
        n_classes: k.
        c: inverse strength of the regularisation.
        deviations: whether the deviation over time stands beside the mean.

    Raises:
        InputError: `c` is not above 0, or there are no streams.
    """

    mean: Tensor
    scale: Tensor

    def __init__(
        self, streams: dict[str, Encoder], n_classes: int, c: float, deviations: bool
    ) -> None:
        if not c > 0:
            raise InputError(f"model.system.c={c}: expected a number above 0")
        super().__init__(streams)
        # Layers stand side by side: nothing is mixed.
        del self.mixes
        self.requires_grad_(False)
        self.n_classes, self.c, self.deviations = n_classes, c, deviations
        width = sum(e.n_layers * e.width for e in streams.values()) * (1 + deviations)
        self.register_buffer("mean", torch.zeros(width))
        self.register_buffer("scale", torch.ones(width))
        self._seen: list[tuple[Tensor, Tensor]] = []

    def observe(self, batch: Batch) -> None:
        """Remembers statistics and labels."""
        self._seen.append((self.statistics(batch), labels_of(batch)))

    @torch.no_grad()
    def statistics(self, batch: Batch) -> Float[Tensor, "b width"]:
        """Of each utterance: stream by stream, all layers in a row; zeros where it is empty."""
        found = []
        for encoder in self.streams.values():
            states = encoder(batch).map(lambda values: values.float().flatten(1))
            found.append(states.mean())
            if self.deviations:
                squares = states.map(torch.square).mean()
                found.append((squares - found[-1].square()).clamp_min(0).sqrt())
        return torch.cat(found, dim=-1)

    def _conclude(self) -> tuple[Float[Tensor, "m width"], Int[Tensor, " m"]]:
        """The normalised training part."""
        values, labels = self._remembered()
        self.mean.copy_(values.mean(0))
        self.scale.copy_(values.std(0, correction=0).clamp_min(_DEVIATION))
        return self.normalised(values), labels

    def _remembered(self) -> tuple[Float[Tensor, "m width"], Int[Tensor, " m"]]:
        values, labels = zip(*self._seen, strict=True)
        return torch.cat(values), torch.cat(labels)

    def normalised(self, values: Float[Tensor, "m width"]) -> Float[Tensor, "m width"]:
        """By mean and deviation of the training part."""
        return (values - self.mean) / self.scale


class LogisticRegression(Statistical):
    """Multinomial logistic regression on mean states, all layers and streams in a row.

    Args:
        streams: encoders by name.
        n_classes: k.
        c: inverse strength of the L2 penalty.

    Raises:
        InputError: as `Statistical`.
    """

    weight: Tensor
    bias: Tensor

    def __init__(self, streams: dict[str, Encoder], n_classes: int, c: float = 0.01) -> None:
        super().__init__(streams, n_classes, c, deviations=False)
        self.register_buffer("weight", torch.zeros(n_classes, len(self.mean)))
        self.register_buffer("bias", torch.zeros(n_classes))

    def conclude(self) -> None:
        """Fits the regression."""
        from sklearn.linear_model import LogisticRegression as Regression

        values, labels = self._conclude()
        fitted = Regression(C=self.c, max_iter=5000).fit(values.cpu().numpy(), labels.cpu().numpy())
        weight, bias = torch.from_numpy(fitted.coef_), torch.from_numpy(fitted.intercept_)
        if self.n_classes == 2:
            # One row is all that two classes have: the log odds of the second.
            weight, bias = torch.cat([-weight, weight]) / 2, torch.cat([-bias, bias]) / 2
        self.weight.copy_(weight)
        self.bias.copy_(bias)
        self._seen = []

    def forward(self, batch: Batch) -> Output:
        """Logits `[b k]`; the embedding is the normalised statistics `[b width]`."""
        values = self.normalised(self.statistics(batch))
        return Output(values @ self.weight.T + self.bias, values)


class SVM(Statistical):
    """A support vector machine with a radial kernel on means and deviations over time.

    Logits are its decision values, one against the rest; what the margin is worth as a probability
    nobody has calibrated.

    Args:
        streams: encoders by name.
        n_classes: k.
        c: inverse strength of the regularisation.

    Raises:
        InputError: as `Statistical`.
    """

    def __init__(self, streams: dict[str, Encoder], n_classes: int, c: float = 1.0) -> None:
        super().__init__(streams, n_classes, c, deviations=True)
        self._fitted: Any = None

    def conclude(self) -> None:
        """Fits the machine."""
        from sklearn.svm import SVC

        values, labels = self._conclude()
        machine = SVC(C=self.c, decision_function_shape="ovr", break_ties=self.n_classes > 2)
        self._fitted = machine.fit(values.double().cpu().numpy(), labels.cpu().numpy())

    def get_extra_state(self) -> dict[str, Tensor]:
        """The training part, of which the machine is fitted again; there is no other safe form."""
        if not self._seen:
            return {}
        values, labels = self._remembered()
        return {"values": values, "labels": labels}

    def set_extra_state(self, state: Mapping[str, Any]) -> None:
        """Takes it back."""
        if state:
            self._seen, self._fitted = [(state["values"], state["labels"])], None

    def forward(self, batch: Batch) -> Output:
        """Logits `[b k]`; the embedding is the normalised statistics `[b width]`."""
        if self._fitted is None:
            self.conclude()
        values = self.normalised(self.statistics(batch))
        found = torch.from_numpy(self._fitted.decision_function(values.double().cpu().numpy()))
        decision = found.float().to(values.device)
        if self.n_classes == 2:
            decision = torch.stack([-decision, decision], dim=-1)
        return Output(decision, values)
