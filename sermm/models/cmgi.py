"""CmGI: self-attention and cross-attention of each stream, joined by the temporal-aware gate.

Source: Gao, Shi, Chu and Kawahara, Interspeech 2024, pp. 1060-1064, as quoted by Bian 2024 (term
paper, Table 1): G = sigma(W [SA(x) ; CA(x)]), output = SA(x) * G + CA(x) * (1 - G). For a stream m
and the other one n, in each interaction layer:

    S_m = LN(X_m + MHA_self(X_m, X_m, X_m)),   K_m = LN(X_m + MHA_cross(X_m, X_n, X_n))
    G_m = sigma(W_m [S_m ; K_m]),   F_m = S_m * G_m + K_m * (1 - G_m)
    u = [mean F_a ; mean F_l],   L = L_SER + lambda L_CTC

| paper | code |
| --- | --- |
| X_a, X_l | `states(...)` |
| SA(x) = S, CA(x) = K | `Gated.own`, `Gated.other` |
| W_m (no bias) | `Interaction.gate.linear`, of each stream and layer |
| F_m, the next layer's X_m | `Gated.fused` |
| u | `embedding` |
| lambda | `asr_loss` |
| L_CTC (speech recognition, learned with emotion) | `CharacterHead` |

"Multi-level acoustic information" is the choice of the speech encoder's layers:
`encoder.speech.layers=last`, or `transformer` for a learned mix of all.

Differs from the source in: what it leaves open or is not public. One interaction layer, 8 heads,
where layer normalisation stands, dropout, lambda = 0.1 (`asr_loss: null` is the setting of Bian
2024, without L_CTC), the mean over the characters of a batch: an utterance of two weighs as much as
one of fifty, and one of none nothing. Audio that is cut at `trainer.max_seconds` no longer has all
that was said, so it takes no part in L_CTC. The class that the public code of Bian 2024 calls by
this name has no self-attention: `conf/model/cmgi_released.yaml`.
"""

from typing import cast

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Tensor, nn

from sermm.core.batch import Batch, Output
from sermm.core.errors import InputError
from sermm.core.ragged import Ragged
from sermm.data.characters import N_CHARACTERS
from sermm.encoders.base import Encoder
from sermm.models.attention import Attention
from sermm.models.base import Attended
from sermm.models.gated_attention import (
    Gated,
    SigmoidGate,
    SpeechAndText,
    pooled_apart,
    side_by_side,
)


class Interaction(nn.Module):
    """One stream's half of an interaction layer: S, K and the gate between them.

    Args:
        d: size of a state of both streams.
        heads: of both attentions; must divide d.
        dropout: of the attention weights.

    Raises:
        InputError: the heads do not divide d.
    """

    def __init__(self, d: int, heads: int, dropout: float) -> None:
        super().__init__()
        self.self_attention = Attention(d, heads, dropout)
        self.norm_self = nn.LayerNorm(d)
        self.cross_attention = Attention(d, heads, dropout)
        self.norm_cross = nn.LayerNorm(d)
        self.gate = SigmoidGate(d, bias=False)

    def forward(self, own: Ragged, other: Ragged) -> Gated:
        """Gates the states `[n d]` of one stream against what it reads in the other, `[m d]`."""
        s = self.norm_self(own.values + self.self_attention(own, own))
        k = self.norm_cross(own.values + self.cross_attention(own, other))
        gated: Gated = self.gate(own.with_values(s), own.with_values(k))
        return gated


class InteractionLayer(nn.Module):
    """Both halves of an interaction layer, each from the states of the layer before.

    Args:
        d: size of a state of both streams.
        heads: of each attention; must divide d.
        dropout: of the attention weights.

    Raises:
        InputError: the heads do not divide d.
    """

    def __init__(self, d: int, heads: int, dropout: float) -> None:
        super().__init__()
        self.speech = Interaction(d, heads, dropout)
        self.text = Interaction(d, heads, dropout)

    def forward(self, speech: Ragged, text: Ragged) -> dict[str, Gated]:
        """What is fused, by stream, of the states `[n d]` and `[m d]`."""
        return {"speech": self.speech(speech, text), "text": self.text(text, speech)}

    def attended(self, speech: Ragged, text: Ragged) -> tuple[Attended, ...]:
        """Both directions across, then each stream in itself, from the states `[n d]`, `[m d]`."""
        return (
            Attended("speech", "text", self.speech.cross_attention.weights(speech, text)),
            Attended("text", "speech", self.text.cross_attention.weights(text, speech)),
            Attended("speech", "speech", self.speech.self_attention.weights(speech, speech)),
            Attended("text", "text", self.text.self_attention.weights(text, text)),
        )


class CharacterHead(nn.Module):
    """The CTC loss of the characters that were said, over an encoder's frames.

    Args:
        d: size of a frame.
        n_characters: size of the alphabet, with the blank as 0.
    """

    def __init__(self, d: int, n_characters: int) -> None:
        super().__init__()
        self.linear = nn.Linear(d, n_characters)

    def forward(self, frames: Ragged, characters: Ragged) -> Float[Tensor, ""]:
        """The loss summed over the utterances, per character of these; frames `[n d]`, ids `[c]`.

        Utterances without characters, or with more than their frames can hold (a repeated one
        needs a blank in between), count neither in the sum nor in the characters.

        Raises:
            InputError: an id is outside of the alphabet, or is the blank.
        """
        n_characters, ids = self.linear.out_features, characters.values
        if ids.numel() and not 0 < int(ids.min()) <= int(ids.max()) < n_characters:
            raise InputError(
                f"characters have ids from {int(ids.min())} to {int(ids.max())}, expected 1 to "
                f"{n_characters - 1}: see sermm.data.characters"
            )
        scores = frames.map(self.linear).map(lambda values: values.float().log_softmax(-1))
        losses = F.ctc_loss(
            scores.padded()[0].transpose(0, 1),
            ids,
            frames.lengths,
            characters.lengths,
            reduction="none",
            zero_infinity=True,
        )
        counted = _counted(frames, characters)
        n_characters = int(characters.lengths[counted].sum())
        return losses[counted.to(losses.device)].sum() / max(1, n_characters)


def _counted(frames: Ragged, characters: Ragged) -> Bool[Tensor, " b"]:
    """Which utterances have ids `[c]`, and frames `[n d]` enough: one each, a blank between twins.

    On the CPU, as lengths are.
    """
    needed = [len(ids) + int((ids[1:] == ids[:-1]).sum()) for ids in characters.split()]
    return (characters.lengths > 0) & (torch.tensor(needed) <= frames.lengths)


class CmGI(SpeechAndText):
    """Interaction layers over speech and text, the means of both, logits.

    Args:
        speech: encoder of the waveform; its width is d.
        text: encoder of the transcript.
        n_classes: k.
        n_layers: interaction layers.
        heads: of each attention; must divide d.
        asr_loss: lambda; None: no speech recognition. With stored features it trains its head only.
        literal: padding takes part in attention and mean (see `SpeechAndText`).
        dropout: before the classifier.
        attention_dropout: of the attention weights.
        norm: states are layer-normalised before the first interaction layer.

    Raises:
        InputError: there are no layers, or the heads do not divide d.
    """

    def __init__(
        self,
        speech: Encoder,
        text: Encoder,
        n_classes: int,
        n_layers: int = 1,
        heads: int = 8,
        asr_loss: float | None = 0.1,
        literal: bool = False,
        dropout: float = 0.2,
        attention_dropout: float = 0.1,
        norm: bool = True,
    ) -> None:
        if n_layers < 1:
            raise InputError(f"model.system.n_layers={n_layers}: expected 1 or more")
        super().__init__(speech, text, literal, norm)
        d = speech.width
        self.layers = nn.ModuleList(
            InteractionLayer(d, heads, attention_dropout) for _ in range(n_layers)
        )
        self.asr_loss = asr_loss
        self.characters = None if asr_loss is None else CharacterHead(d, N_CHARACTERS)
        self.dropout = nn.Dropout(dropout)
        self.classifier = nn.Linear(2 * d, n_classes)

    @property
    def needs(self) -> set[str]:
        """What the encoders read, and the characters for the speech recognition."""
        return super().needs | (set() if self.characters is None else {"characters"})

    def forward(self, batch: Batch) -> Output:
        """Logits `[b k]`; the embedding `[b 2d]` is u; in training the loss `ctc`.

        Raises:
            InputError: a training batch has no characters although there is `asr_loss`.
        """
        acoustic, semantic = self.states(batch)
        embedding = side_by_side(self._gated(acoustic, semantic))
        return Output(
            self.classifier(self.dropout(embedding)),
            embedding,
            self._losses(batch, acoustic),
            pooled=pooled_apart(acoustic, semantic),
        )

    def gates(self, batch: Batch) -> dict[str, Ragged]:
        """G `[n d]` of the last layer by stream: the share of self-attention."""
        return {name: stream.gate for name, stream in self._gated(*self.states(batch)).items()}

    def attended(self, batch: Batch) -> tuple[Attended, ...]:
        """Cross-attention and self-attention of both streams in the last interaction layer."""
        speech, text = (self.counted(states) for states in self.states(batch))
        for layer in self.layers[:-1]:
            gated = layer(speech, text)
            speech, text = gated["speech"].fused, gated["text"].fused
        last = cast(InteractionLayer, self.layers[-1])
        return last.attended(speech, text)

    def _gated(self, acoustic: Ragged, semantic: Ragged) -> dict[str, Gated]:
        speech, text = self.counted(acoustic), self.counted(semantic)
        gated: dict[str, Gated] = {}
        for layer in self.layers:
            gated = layer(speech, text)
            speech, text = gated["speech"].fused, gated["text"].fused
        return gated

    def _losses(self, batch: Batch, acoustic: Ragged) -> dict[str, Float[Tensor, ""]]:
        if self.characters is None or not self.training:
            return {}
        if batch.characters is None:
            raise InputError(
                f"model.system.asr_loss={self.asr_loss} needs the characters of the transcripts, "
                f"and the batch of {batch.ids[0]} has none; model.system.asr_loss=null does without"
            )
        return {"ctc": self.asr_loss * self.characters(acoustic, batch.characters)}
