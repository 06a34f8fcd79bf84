"""What was run: the encoders and the recipe of a system, and whether that is what a paper ran.

A run keeps both in `result.json`, by the keys of the configuration, so that a table can say of
every row what it is of, and of every cell of a paper whether ours was run as the paper's was. What
that was is declared in `conf/paper` by the same keys (`setup`): a table says it for all its
systems, and under `by_system` for some.

    setup:
      runs: 25
      encoder.speech: facebook/wav2vec2-base
      features.mode: [cached, frozen]          # any of these
      trainer.patience: any                    # a number, whichever
      by_system: { coattention: { model.learning.lr: 5.0e-5 } }

A key that does not apply to a run (the text encoder of a system of speech alone) is not compared.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

RUNS: Final = "runs"
BY_SYSTEM: Final = "by_system"
# Any value but null.
ANY: Final = "any"
ENCODERS: Final = ("encoder.speech", "encoder.text")
# Beginnings of the keys that a run records; what stands below them depends on the system.
OPEN: Final = ("model.system.", "model.learning.optimizer.", *(f"{key}." for key in ENCODERS))
FACTS: Final = (
    "features.mode", "features.normalise.speech", "features.normalise.text", "text.source",
    "augment", "remedies",
    *(
        f"model.learning.{key}" for key in (
            "optimizer", "lr", "encoder_lr", "embedding_lr", "adapter_lr", "layer_decay",
            "weight_decay", "schedule", "warmup", "class_weights", "label_smoothing",
        )
    ),
    *(
        f"trainer.{key}" for key in (
            "max_epochs", "monitor", "patience", "batch_size", "batch_seconds", "clip_norm",
            "max_seconds", "precision", "batching", "test_epoch",
        )
    ),
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class EncoderSetup:
    """One encoder of a system.

    Attributes:
        key: of the configuration that chooses it: `encoder.speech`, `encoder.text`, or where in the
            system it stands.
        modality: speech or text.
        name: the hub's name of a checkpoint, or what it computes.
        weights: "pre-trained", "random", or "fixed" where there are none.
        revision: the commit on the hub, or the digest of a folder's files; None for others.
        parameters: of all of it; None: not known.
        settings: what it was made with, `layers` and `trainable` among it; `adapter` in words, its
            settings below it (`adapter.rank`).
    """

    key: str
    modality: str
    name: str
    weights: str
    revision: str | None
    parameters: int | None
    settings: dict[str, Any]

    @property
    def trained(self) -> str:
        """What of it the run has trained, for people."""
        if self.weights == "fixed":
            return "nothing to train"
        if adapter := self.settings.get("adapter"):
            return str(adapter)
        given = self.settings.get("trainable", "all")
        if self.weights == "random":
            return "random weights, frozen" if given == "none" else "from scratch"
        return {"all": "fine-tuned", "none": "frozen"}.get(str(given), f"top {given} fine-tuned")


@dataclass(frozen=True, slots=True)
class Setup:
    """What one system was run with.

    Attributes:
        variant: as tables of papers call it.
        encoders: each once, however many streams read it.
        recipe: values by key of the configuration: those of `FACTS`, and the system's own settings.
        changed: the keys of the recipe whose values are not the model's own, as its file in
            `conf/model` and the defaults have them.
    """

    variant: str
    encoders: tuple[EncoderSetup, ...]
    recipe: dict[str, Any]
    changed: tuple[str, ...] = ()

    @property
    def facts(self) -> dict[str, Any]:
        """All that a paper's table may declare, by key."""
        found = dict(self.recipe)
        for one in self.encoders:
            found |= {f"{one.key}.{key}": value for key, value in one.settings.items()}
            found[one.key] = one.name
        return found


def is_declarable(key: str) -> bool:
    """Whether a table of a paper may say what this was."""
    return key in (RUNS, *ENCODERS, *FACTS) or key.startswith(OPEN)


def declared(setup: Mapping[str, Any], variant: str) -> dict[str, Any]:
    """What a table declares of one system.

    Args:
        setup: of the table.
        variant: of the system; it begins with the names in `by_system` that say something of it.
    """
    found = {key: value for key, value in setup.items() if key != BY_SYSTEM}
    for name, own in setup.get(BY_SYSTEM, {}).items():
        if f"{variant} ".startswith(f"{name} "):
            found |= own
    return found


def undeclarable(setup: Mapping[str, Any]) -> list[str]:
    """The keys of a declaration that no run records."""
    own = setup.get(BY_SYSTEM, {})
    every = [*setup, *(key for one in own.values() for key in one)]
    return [key for key in every if key != BY_SYSTEM and not is_declarable(key)]


def unlike(run: Setup, expected: Mapping[str, Any]) -> list[str]:
    """In what a run differs from what was declared of its system, a phrase each.

    Args:
        run: what was run.
        expected: of `declared`; its number of runs is not a matter of one run.
    """
    facts = run.facts
    found = []
    for key, value in expected.items():
        if key in ENCODERS:
            found += _other_encoder(run, key, value)
        elif key in facts and not _is_one_of(facts[key], value):
            found.append(f"{key}={written(facts[key])}, the paper's {_wanted(value)}")
    return found


def _other_encoder(run: Setup, key: str, value: Any) -> list[str]:
    """Whether the encoder is another one; none where the system reads nothing of its kind."""
    of_kind = [one for one in run.encoders if one.modality == key.rpartition(".")[2]]
    chosen = [one for one in of_kind if one.key == key]
    names = value if isinstance(value, list | tuple) else [value]
    if not of_kind or any(_same_checkpoint(one, name) for one in chosen for name in names):
        return []
    there = ", ".join(f"{one.name} ({one.trained})" for one in chosen or of_kind)
    return [f"{key} {there}, the paper's {_wanted(value)}"]


def _same_checkpoint(one: EncoderSetup, name: Any) -> bool:
    """Whether it has this name; a folder is called like the checkpoint, without its owner."""
    return one.weights == "pre-trained" and one.name in (name, str(name).rpartition("/")[2])


def _is_one_of(value: Any, wanted: Any) -> bool:
    choices: Sequence[Any] = wanted if isinstance(wanted, list | tuple) else [wanted]
    return any(_equal(value, one) for one in choices)


def _equal(value: Any, wanted: Any) -> bool:
    if wanted == ANY:
        return value is not None
    if _is_number(value) and _is_number(wanted):
        return math.isclose(value, wanted, rel_tol=1e-9)
    return type(value) is type(wanted) and bool(value == wanted)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _wanted(value: Any) -> str:
    if value == ANY:
        return "any number"
    choices = value if isinstance(value, list | tuple) else [value]
    return " or ".join(map(written, choices))


def written(value: Any) -> str:
    """A value as one would type it."""
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    return f"{value:g}" if isinstance(value, float) else str(value)
