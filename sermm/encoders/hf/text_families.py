"""The families of text models that can be read, and where each keeps its layers.

Whatever else is asked of a family is a column of the table at the end.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from operator import attrgetter
from typing import Any, Final

from torch import nn


@dataclass(frozen=True)
class Family:
    """What an encoder must know of a model.

    Attributes:
        layers: gives its transformer layers in the order in which they run; one that runs several
            times stands there as often.
        on_top: attribute with the norm after the last layer, where there is one.
        behind_padding: positions are counted from behind the number of the padding token.
        causal: it reads from left to right: a token's state knows nothing of those after it.
    """

    layers: Callable[[Any], Any] = attrgetter("encoder.layer")
    on_top: str | None = None
    behind_padding: bool = False
    causal: bool = False

    def stack(self, hf: Any) -> list[nn.Module]:
        """The layers of a model of this family."""
        return list(self.layers(hf))

    def norms(self, hf: Any) -> list[nn.Module]:
        """What works on the last layer's output."""
        return [] if self.on_top is None else [getattr(hf, self.on_top)]

    def positions(self, config: Any) -> int:
        """The longest sequence of a model with this configuration."""
        behind = int(config.pad_token_id) + 1 if self.behind_padding else 0
        return int(config.max_position_embeddings) - behind


def _albert(hf: Any) -> list[nn.Module]:
    """Groups of layers, each of which runs many times over: usually one group of one layer."""
    groups, runs = hf.encoder.albert_layer_groups, hf.config.num_hidden_layers
    found: list[nn.Module] = []
    for run in range(runs):
        found += groups[int(run / (runs / len(groups)))].albert_layers
    return found


_ENCODER = Family()
_ROBERTA = Family(behind_padding=True)
_GPT = Family(attrgetter("h"), on_top="ln_f", causal=True)
_LLAMA = Family(attrgetter("layers"), on_top="norm", causal=True)
# By `model_type` of config.json.
FAMILIES: Final[Mapping[str, Family]] = {
    "bert": _ENCODER,
    "roberta": _ROBERTA,
    "xlm-roberta": _ROBERTA,
    "deberta-v2": _ENCODER,
    "distilbert": Family(attrgetter("transformer.layer")),
    "albert": Family(_albert),
    "electra": _ENCODER,
    "mpnet": _ROBERTA,
    "modernbert": Family(attrgetter("layers"), on_top="final_norm"),
    "gpt2": _GPT,
    "gpt_neo": _GPT,
    "llama": _LLAMA,
    "qwen2": _LLAMA,
}
