"""What every system promises: a batch in, an `Output` out."""

from torch import Tensor, nn

from sermm.core.batch import Batch, Output
from sermm.core.ragged import Ragged
from sermm.encoders.base import Encoder, TextEncoder


class System(nn.Module):
    """A recogniser: encoders and what joins them."""

    def forward(self, batch: Batch) -> Output:
        """Logits `[b k]` and embedding `[b d]` of the b utterances."""
        raise NotImplementedError

    @property
    def encoders(self) -> dict[str, Encoder]:
        """The encoders by the attribute that holds them, `streams.text` for those of a dict."""
        found = {}
        for name, part in self.named_children():
            members = part.items() if isinstance(part, nn.ModuleDict) else [("", part)]
            for key, module in members:
                if isinstance(module, Encoder):
                    found[f"{name}.{key}" if key else name] = module
        return found

    @property
    def needs(self) -> set[str]:
        """The parts of a batch that the encoders read."""
        return {part for encoder in self.encoders.values() for part in encoder.needs}

    @property
    def text_encoder(self) -> TextEncoder | None:
        """The encoder whose tokens the batches carry; None for systems without text."""
        # It may be wrapped, as in a normalisation of what it gives.
        modules = (m for encoder in self.encoders.values() for m in encoder.modules())
        return next((m for m in modules if isinstance(m, TextEncoder)), None)


class StreamSystem(System):
    """A system over any number of streams, each fed by one encoder.

    Args:
        streams: encoders by name, in order (text, frame, phone, syllable, word, or others).
    """

    def __init__(self, streams: dict[str, Encoder]) -> None:
        super().__init__()
        self.streams = nn.ModuleDict(streams)

    def hidden(self, batch: Batch) -> dict[str, Ragged]:
        """Hidden states `[n layers d]` of every stream, by name."""
        return {name: encoder(batch) for name, encoder in self.streams.items()}


class CountingSystem(System):
    """A system that learns by looking at every training batch once, without gradients."""

    def observe(self, batch: Batch) -> None:
        """Takes in one training batch; its labels are there."""
        raise NotImplementedError


def labels_of(batch: Batch) -> Tensor:
    """The labels of a training batch.

    Raises:
        ValueError: the batch has none.
    """
    if batch.label is None:
        raise ValueError("a training batch needs labels")
    return batch.label
