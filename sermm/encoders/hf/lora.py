"""LoRA: small matrices beside the projections of a Hugging Face model, which itself stays.

    y = W x + (alpha / rank) B A dropout(x)

W is the checkpoint's and has no gradient; A is random and B zero, so that the model gives what it
gave until the first step. `peft` puts both where they belong; class and names of the model stay.

Source: Hu et al. 2022, "LoRA: Low-Rank Adaptation of Large Language Models", equation (3).
"""

from collections.abc import Sequence
from typing import Any, Final

from torch import nn

from sermm.core.errors import InputError
from sermm.encoders.adapter import Lora
from sermm.encoders.hf.gdes import residuals_in

# Query and value, as the paper adapts them (section 7.1); by `model_type`. GPT-2 and ModernBERT
# have query, key and value in one.
_QV_PROJ: Final = ("q_proj", "v_proj")
_QUERY_VALUE: Final = ("query", "value")
TARGETS: Final[dict[str, tuple[str, ...]]] = {
    **dict.fromkeys(
        ("wav2vec2", "hubert", "wavlm", "data2vec-audio", "unispeech-sat", "unispeech", "sew",
         "whisper", "gpt_neo", "llama", "qwen2"),
        _QV_PROJ,
    ),
    **dict.fromkeys(("wav2vec2-bert", "wav2vec2-conformer"), ("linear_q", "linear_v")),
    **dict.fromkeys(("bert", "roberta", "xlm-roberta", "electra", "albert"), _QUERY_VALUE),
    "deberta-v2": ("query_proj", "value_proj"),
    "distilbert": ("q_lin", "v_lin"),
    "mpnet": ("attn.q", "attn.v"),
    "modernbert": ("Wqkv",),
    "gpt2": ("c_attn",),
}  # fmt: skip
# In the names of what peft adds.
_OWN: Final = ".lora_"
_NAME: Final = "default"


def of_adapter(name: str) -> bool:
    """Whether a value of a model's state belongs to its adapter, by its name."""
    return _OWN in name


def add_lora(hf: Any, blocks: Sequence[nn.Module], lora: Lora, key: str) -> tuple[str, ...]:
    """Adapts projections in these layers of a model, in place.

    A is drawn from torch's global generator.

    Args:
        hf: the model; what it has trained until now is left to the caller.
        blocks: the layers whose projections are adapted.
        lora: rank, factor, dropout, targets.
        key: of the encoder, which errors name.

    Returns:
        The targets: ends of the names of what was adapted.

    Raises:
        InputError: the family has no targets, or none of them is there; or its word embeddings
            have a residual that is to learn.
    """
    if residuals_in(hf):
        raise InputError(
            f"{key}.gdes learns a residual of the word embeddings, which {key}.adapter leaves as "
            f"they are; use {key}.gdes=none or {key}.adapter=null"
        )
    targets = lora.targets or _targets_of(hf.config.model_type, key)
    names = _linear_layers(hf, blocks)
    chosen = {target: [n for n in names if n.endswith(f".{target}")] for target in targets}
    if lost := [target for target, found in chosen.items() if not found]:
        ends = ", ".join(dict.fromkeys(name.rpartition(".")[2] for name in names))
        raise InputError(
            f"{key}.adapter.targets: the layers that are read have no linear layer "
            f"{' or '.join(lost)}; they have {ends or 'none'}"
        )
    _inject(hf, lora, list(dict.fromkeys(n for found in chosen.values() for n in found)))
    return tuple(targets)


def parts_of(hf: nn.Module) -> list[nn.Module]:
    """What a model has of an adapter: the matrices and the dropout before them."""
    return [part for name, part in hf.named_modules() if _OWN in name and name.endswith(_NAME)]


def _targets_of(family: str, key: str) -> tuple[str, ...]:
    if family not in TARGETS:
        raise InputError(
            f"{key}.adapter: it is not known which layers of a {family!r} model are adapted; name "
            f"linear layers ({key}.adapter={{targets: [q_proj,v_proj]}}), or use one of "
            f"{', '.join(TARGETS)}"
        )
    return TARGETS[family]


def _linear_layers(hf: nn.Module, blocks: Sequence[nn.Module]) -> dict[str, nn.Module]:
    """The linear layers within these layers of a model, by their names in it."""
    from transformers.pytorch_utils import Conv1D

    inside = {id(part) for block in blocks for part in block.modules()}
    return {
        name: part
        for name, part in hf.named_modules()
        if id(part) in inside and isinstance(part, nn.Linear | Conv1D)
    }


def _inject(hf: nn.Module, lora: Lora, names: list[str]) -> None:
    # peft takes seconds to import.
    from peft import LoraConfig, inject_adapter_in_model

    transposed = not isinstance(hf.get_submodule(names[0]), nn.Linear)
    config = LoraConfig(
        r=lora.rank,
        lora_alpha=lora.alpha,
        lora_dropout=lora.dropout,
        target_modules=names,
        # As `Conv1D` of GPT-2 has its weights.
        fan_in_fan_out=transposed,
    )
    inject_adapter_in_model(config, hf, _NAME)
