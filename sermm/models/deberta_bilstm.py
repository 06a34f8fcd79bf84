"""BiLSTM over MFCC, a fine-tuned DeBERTa, and attention of speech over text.

Source: Li 2025, Figure 1, equations (1) to (3), and the four steps of its Table 2.

    A = BiLSTM(x),  X = FC(text states)                               both of width d = 256
    O = softmax(Q K^T / sqrt(d)) V,  Q = A W_q,  K = X W_k,  V = X W_v
    z = [mean_t LN(A + O) ; mean_l X],   logits = MLP(z)

| paper | code |
| --- | --- |
| x_t (MFCC) | states of the speech encoder, `sermm.encoders.spectral.mfcc_frames` |
| wav2vec 2.0, of the title alone | the same of `model=deberta_bilstm_wav2vec2`, a variant of ours |
| h_t (equation 1), A | `over_time`: `BiLSTM`, or `MeanOverTime` (`audio: mean`) |
| "compressed to 256 dimensions via a fully connected layer", T of section 3.4 | `text_fc`, X |
| E_new = E_pretrain + dE (equation 2) | `encoder.text.gdes`, `sermm.encoders.hf.gdes` |
| W_q, W_k, W_v (equation 3) | `CrossModalAttention.query`, `.key`, `.value` |
| O | `CrossModalAttention.read` |
| "two-layer Multilayer Perceptron" | `classifier` |
| Table 2: baseline, + LSTM, + DeBERTa, + attention | `model.step` of the configuration |

Left open there, and chosen here: the residual with layer normalisation around the attention, no
output projection (equation (3) has none), both means side by side as the classifier's input, so
that all steps of Table 2 share one head (`attended_only` leaves the text's mean out). The paper
says that "key-value projection matrices reuse text branch parameters": `kv_share=text_fc` takes X
for K and V as it is, `tied` has one W for both, `none` two. Equation (3) divides by sqrt(d), as a
single head would; `scale=head` divides by the root of a head's size, as is usual, `model` by that
of d.
"""

from collections.abc import Callable
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor, nn

from sermm.core.batch import Batch, Output
from sermm.core.errors import InputError, expect_one_of
from sermm.core.ragged import Ragged
from sermm.encoders.base import Encoder
from sermm.encoders.layer_mix import LayerMix
from sermm.encoders.recurrent import BiLSTM
from sermm.models.attention import attend, attention_weights
from sermm.models.base import Attended, System

Audio = Literal["bilstm", "mean"]
Text = Literal["tuned", "static"]
Fusion = Literal["attention", "concatenation"]
KeysAndValues = Literal["text_fc", "tied", "none"]
ScoreScale = Literal["head", "model"]


class CrossModalAttention(nn.Module):
    """Equation (3) with several heads: what each position of one sequence reads in another.

    Args:
        d: size of a state of both.
        heads: how many; they share d equally.
        kv_share: what K and V share: the states themselves (`text_fc`), one projection (`tied`),
            or nothing.
        scale: of the scores, by the size of a head or of the model.

    Raises:
        InputError: an option is wrong, or the heads do not divide d.
    """

    def __init__(
        self,
        d: int,
        heads: int = 8,
        kv_share: KeysAndValues = "text_fc",
        scale: ScoreScale = "head",
    ) -> None:
        super().__init__()
        expect_one_of("model.system.attention.kv_share", kv_share, KeysAndValues)
        expect_one_of("model.system.attention.scale", scale, ScoreScale)
        if heads < 1 or d % heads:
            raise InputError(
                f"model.system.attention.heads={heads}: expected a number that divides the width "
                f"{d}"
            )
        self.heads, self.size = heads, d // heads
        self.scale = (self.size if scale == "head" else d) ** -0.5
        self.query = nn.Linear(d, d)
        self.key = nn.Identity() if kv_share == "text_fc" else nn.Linear(d, d)
        self.value = nn.Linear(d, d) if kv_share == "none" else self.key
        self.norm = nn.LayerNorm(d)

    def forward(self, own: Ragged, source: Ragged) -> Ragged:
        """LN(A + O) `[n d]`."""
        return own.with_values(self.norm(own.values + self.read(own, source).values))

    def read(self, own: Ragged, source: Ragged) -> Ragged:
        """O `[n d]` of A `[n d]` over X `[m d]`; zeros where the source is empty."""
        q, k = self._scored(own, source)
        v = self._heads(source.map(self.value))
        return attend(q, k, v).map(lambda values: values.flatten(1))

    def weights(self, own: Ragged, source: Ragged) -> tuple[Float[Tensor, "_ _"], ...]:
        """The weights alpha `[n m]` of each utterance, the mean over the heads."""
        return attention_weights(*self._scored(own, source))

    def _scored(self, own: Ragged, source: Ragged) -> tuple[Ragged, Ragged]:
        """Q and K `[n h e]`, of which the scores are q k / sqrt(e) whatever the scale."""
        scaled = self.scale * self.size**0.5
        query = own.map(self.query).map(lambda values: values * scaled)
        return self._heads(query), self._heads(source.map(self.key))

    def _heads(self, states: Ragged) -> Ragged:
        return states.map(lambda values: values.view(-1, self.heads, self.size))


class MeanOverTime(nn.Module):
    """One linear layer of the mean over time, as the only position of each sequence.

    Args:
        d: size of a frame.
        width: size of what comes out.
    """

    def __init__(self, d: int, width: int) -> None:
        super().__init__()
        self.linear = nn.Linear(d, width)

    def forward(self, frames: Ragged) -> Ragged:
        """`[b width]`, of length 1 each, of frames `[n d]`."""
        return Ragged(self.linear(frames.mean()), torch.ones_like(frames.lengths))


def over_time(audio: Audio, d: int, width: int) -> nn.Module:
    """What makes A `[n width]` of speech frames `[n d]`.

    Raises:
        InputError: there is no such way, or the width is odd.
    """
    expect_one_of("model.system.audio", audio, Audio)
    if width < 2 or width % 2:
        raise InputError(
            f"model.system.width={width}: expected an even number, half of it for each direction "
            "of the LSTM"
        )
    return BiLSTM(d, width // 2) if audio == "bilstm" else MeanOverTime(d, width)


def mlp(d: int, width: int, n_classes: int, dropout: float) -> nn.Sequential:
    """The classifier: `[b d]` -> ReLU(`[b width]`), dropout -> logits `[b k]`."""
    return nn.Sequential(
        nn.Linear(d, width), nn.ReLU(), nn.Dropout(dropout), nn.Linear(width, n_classes)
    )


class DebertaBiLSTM(System):
    """Speech frames and tokens, joined by their means or by attention of speech over text.

    Args:
        speech: encoder of the waveform; MFCC in the source.
        text: encoder of the transcript, of which the last state is read.
        n_classes: k.
        audio: `bilstm`, or `mean` (one linear layer of the mean over time).
        text_mode: `tuned` as the encoder is set up, or `static`: none of it is trained.
        fusion: `attention`, or `concatenation` of the means.
        attention: makes the attention from the width.
        attended_only: the classifier reads mean_t LN(A + O) alone.
        width: d, of A and X; even.
        dropout: of z and within the classifier.

    Raises:
        InputError: an option is wrong.
    """

    def __init__(
        self,
        speech: Encoder,
        text: Encoder,
        n_classes: int,
        audio: Audio = "bilstm",
        text_mode: Text = "tuned",
        fusion: Fusion = "attention",
        attention: Callable[[int], CrossModalAttention] = CrossModalAttention,
        attended_only: bool = False,
        width: int = 256,
        dropout: float = 0.3,
    ) -> None:
        super().__init__()
        expect_one_of("model.system.text_mode", text_mode, Text)
        expect_one_of("model.system.fusion", fusion, Fusion)
        if attended_only and fusion != "attention":
            raise InputError("model.system.attended_only=true needs model.fusion=attention")
        self.speech, self.text = speech, text
        self.static = text_mode == "static"
        if self.static:
            text.requires_grad_(False)
        self.mix_speech = LayerMix(speech.n_layers, speech.width, norm=False)
        self.mix_text = LayerMix(text.n_layers, text.width, norm=False)
        self.over_time = over_time(audio, speech.width, width)
        self.text_fc = nn.Linear(text.width, width)
        self.attention = attention(width) if fusion == "attention" else None
        self.attended_only = attended_only
        self.dropout = nn.Dropout(dropout)
        self.classifier = mlp(width if attended_only else 2 * width, width, n_classes, dropout)

    def train(self, mode: bool = True) -> "DebertaBiLSTM":
        """Training mode, but for a static text encoder."""
        super().train(mode)
        if self.static:
            self.text.eval()
        return self

    def forward(self, batch: Batch) -> Output:
        """Logits `[b k]`; the embedding `[b 2d]`, or `[b d]` with `attended_only`, is z."""
        a, x = self._states(batch)
        text = x.mean()
        fused = a if self.attention is None else self.attention(a, x)
        parts = [fused.mean()] if self.attended_only else [fused.mean(), text]
        z = torch.cat(parts, dim=-1)
        pooled = {"speech": a.mean(), "text": text}
        return Output(self.classifier(self.dropout(z)), z, pooled=pooled)

    def attended(self, batch: Batch) -> tuple[Attended, ...]:
        """The weights alpha of equation (3): speech frames over tokens; none with concatenation."""
        if self.attention is None:
            return ()
        return (Attended("speech", "text", self.attention.weights(*self._states(batch))),)

    def _states(self, batch: Batch) -> tuple[Ragged, Ragged]:
        """A `[n d]`, with one position an utterance if `audio` is mean, and X `[m d]`."""
        frames = self.speech.mixed(batch, self.mix_speech)
        with torch.set_grad_enabled(torch.is_grad_enabled() and not self.static):
            tokens = self.text.mixed(batch, self.mix_text)
        return self.over_time(frames), tokens.map(self.text_fc)
