"""What the systems around the gate of Bian 2024 share: two streams of one width, and the gate.

Source: Bian, Liang and Zhang 2024 ("Bian 2024"), README and term paper section 3.2.

| paper | code |
| --- | --- |
| X_a, X_l = W_p h + b_p | `SpeechAndText.states` |
| W_p, b_p | `project` |
| Att | `CrossAttention` |
| G = sigma(W [X ; C] + b) | `SigmoidGate`, `Gated.gate` |
| X * G + C * (1 - G) | `Gated.fused` |

Differs from the source in: hidden states are layer-normalised by `LayerMix` before anything else,
unless `norm` is off; padding enters nothing unless `literal`.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor, nn

from sermm.core.batch import Batch
from sermm.core.ragged import Ragged
from sermm.encoders.base import Encoder
from sermm.encoders.layer_mix import LayerMix
from sermm.models.attention import attend, attention_weights
from sermm.models.base import System


@dataclass(frozen=True, eq=False)
class Gated:
    """Two sets of states `[n d]` at the same positions, and the gate between them.

    Attributes:
        own: X, what passes where the gate is 1.
        other: C, what passes where it is 0.
        gate: G, 0..1 for each position and channel.
    """

    own: Ragged
    other: Ragged
    gate: Ragged

    @property
    def fused(self) -> Ragged:
        """X * G + C * (1 - G), `[n d]`."""
        gate = self.gate.values
        return self.own.with_values(self.own.values * gate + self.other.values * (1 - gate))


class SigmoidGate(nn.Module):
    """G = sigma(W [X ; C] + b), per position and channel.

    Args:
        d: size of X and of C.
        bias: whether there is b.
    """

    def __init__(self, d: int, bias: bool = True) -> None:
        super().__init__()
        self.linear = nn.Linear(2 * d, d, bias=bias)

    def forward(self, own: Ragged, other: Ragged) -> Gated:
        """The gate between X, `[n d]`, and C at the same positions."""
        both = torch.cat([own.values, other.values], dim=-1)
        return Gated(own, other, own.with_values(torch.sigmoid(self.linear(both))))


class CrossAttention(nn.Module):
    """softmax(q k^T / sqrt(d)) v of one stream over another, one head.

    Args:
        d: size of a state of both.
        projections: q, k and v are linear maps of the states; if not, the states themselves.
    """

    def __init__(self, d: int, projections: bool) -> None:
        super().__init__()
        self.query, self.key, self.value = (
            nn.Linear(d, d) if projections else nn.Identity() for _ in range(3)
        )

    def forward(self, own: Ragged, source: Ragged) -> Ragged:
        """What the positions `[n d]` of `own` read; zeros where the source is empty."""
        q, k = _one_head(self.query, own), _one_head(self.key, source)
        v = _one_head(self.value, source)
        return attend(q, k, v).map(lambda values: values.squeeze(1))

    def weights(self, own: Ragged, source: Ragged) -> tuple[Float[Tensor, "_ _"], ...]:
        """How much each of the n positions of `own` reads of each of the m, `[n m]`."""
        return attention_weights(_one_head(self.query, own), _one_head(self.key, source))


def _one_head(project: nn.Module, stream: Ragged) -> Ragged:
    return stream.map(project).map(lambda values: values.unsqueeze(1))


class SpeechAndText(System):
    """Speech and text as sequences of states of one width, d = that of the speech encoder.

    Args:
        speech: encoder of the waveform.
        text: encoder of the transcript.
        literal: as in the published code of Bian 2024 nothing is masked: zeros up to the longest
            sequence of the batch take part in attention, gate and mean, so that the logits of an
            utterance depend on its batch mates. (There the padding has been through the encoders
            as well; here these give states of what is real only.)
        norm: the states of both are layer-normalised first; the published code takes them as they
            come.
    """

    def __init__(self, speech: Encoder, text: Encoder, literal: bool, norm: bool) -> None:
        super().__init__()
        self.speech = speech
        self.text = text
        self.literal = literal
        self.mix_speech = LayerMix(speech.n_layers, speech.width, norm)
        self.mix_text = LayerMix(text.n_layers, text.width, norm)
        self.project = nn.Linear(text.width, speech.width)

    def states(self, batch: Batch) -> tuple[Ragged, Ragged]:
        """X_a `[n d]` and X_l `[m d]`, of real positions."""
        acoustic = self.speech.mixed(batch, self.mix_speech)
        return acoustic, self.text.mixed(batch, self.mix_text).map(self.project)

    def counted(self, states: Ragged) -> Ragged:
        """The states that take part: as they are, or with their padding if `literal`."""
        return with_padding(states) if self.literal else states


def with_padding(states: Ragged) -> Ragged:
    """Every sequence as long as the longest of the batch, zeros `[d]` as further positions."""
    padded, _ = states.padded()
    return Ragged.pack(list(padded.unbind()))


def pooled_apart(acoustic: Ragged, semantic: Ragged) -> dict[str, Float[Tensor, "b d"]]:
    """The means of X_a and X_l by modality, as `Output.pooled`."""
    return {"speech": acoustic.mean(), "text": semantic.mean()}


def side_by_side(gated: dict[str, Gated]) -> Float[Tensor, "b e"]:
    """The mean of each stream's fused states, end to end: u."""
    return torch.cat([stream.fused.mean() for stream in gated.values()], dim=-1)
