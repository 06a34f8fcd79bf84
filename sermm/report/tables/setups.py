"""What rows of a table were run with, as text: encoders, features, texts and recipe.

A reader who sees a score asks what it is of: whose weights, which layers, what was trained and how
long. All of it comes from the runs (`sermm.runs.setup`). Runs of one row may differ in it (another
revision on the hub, code of another version), and a combination has parts: then a row says each.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sermm.runs.result import Result
from sermm.runs.setup import EncoderSetup, Setup, written

UNSAID = "not recorded"
_MODALITIES = ("speech", "text")
_AND = " / "
# Keys of the recipe that its one line says, or that have a column of their own.
_SAID = (
    "features.mode", "features.normalise.speech", "features.normalise.text", "text.source",
    "model.learning.optimizer", "model.learning.lr", "model.learning.encoder_lr",
    "model.learning.adapter_lr", "model.learning.weight_decay", "trainer.batch_size",
    "trainer.batch_seconds", "trainer.max_epochs", "trainer.patience", "trainer.monitor",
    "trainer.precision",
)  # fmt: skip


@dataclass(frozen=True)
class Ran:
    """What the runs of one row were run with.

    Attributes:
        setups: of the runs, each once; several where they differ, or for parts of combinations.
        n_unsaid: how many runs do not say.
        text_sources: where their texts come from.
    """

    setups: tuple[Setup, ...] = ()
    n_unsaid: int = 0
    text_sources: tuple[str, ...] = ()

    @classmethod
    def of(cls, results: Sequence[Result]) -> "Ran":
        """Of the runs' results, in their order."""
        setups: list[Setup] = []
        for result in results:
            # a record holds dictionaries, which cannot be counted by their hash
            setups += [one for one in result.setup if one not in setups]
        sources = sorted({one.text_source for one in results if one.text_source})
        return cls(tuple(setups), sum(not one.setup for one in results), tuple(sources))


Words = Callable[[Ran], str]


def encoders(ran: Ran) -> str:
    """The encoders of a row: name, revision, layers, and what of them was trained."""
    return _each(ran, lambda one: "; ".join(map(_encoder, one.encoders)))


def speech(ran: Ran) -> str:
    """The encoders of speech."""
    return _each(ran, lambda one: _of_modality(one, "speech"))


def text(ran: Ran) -> str:
    """The encoders of text, and where texts come from."""
    found = [_each(ran, lambda one: _of_modality(one, "text")), ", ".join(ran.text_sources)]
    return "; ".join(filter(None, found))


def features(ran: Ran) -> str:
    """How hidden states were come by, and over what they were normalised."""
    return _each(ran, lambda one: _features(one.recipe))


def recipe(ran: Ran) -> str:
    """How it was trained, and what of it is not as the model's own file has it."""
    return _each(ran, _recipe)


def shared(rows: Sequence[Ran]) -> tuple[list[str], dict[str, Words]]:
    """What all rows were run with, as phrases, and what says of each row what they differ in.

    Args:
        rows: one or more.
    """
    columns: dict[str, Words] = {
        "speech": speech, "text": text, "features": features, "recipe": recipe,
    }  # fmt: skip
    same, differ = [], {}
    for name, words in columns.items():
        if len(found := {words(ran) for ran in rows}) > 1:
            differ[name] = words
        elif value := found.pop():
            same.append(f"{name}: {value}")
    return same, differ


def _of_modality(one: Setup, modality: str) -> str:
    return "; ".join(_encoder(e) for e in one.encoders if e.modality == modality)


def _each(ran: Ran, words: Callable[[Setup], str]) -> str:
    """What is said of every set-up of a row, each once."""
    found = list(dict.fromkeys(filter(None, map(words, ran.setups))))
    if ran.n_unsaid:
        found.append(UNSAID)
    return _AND.join(found)


def _encoder(one: EncoderSetup) -> str:
    revision = f" ({one.revision})" if one.revision else ""
    layers = one.settings.get("layers")
    read = "" if layers is None else f", layers {_layers(layers)}"
    return f"{one.name}{revision}{read}, {one.trained}"


def _layers(layers: Any) -> str:
    return ",".join(map(str, layers)) if isinstance(layers, list) else str(layers)


def _features(recipe: Mapping[str, Any]) -> str:
    if not recipe:
        return ""
    over = {kind: recipe.get(f"features.normalise.{kind}", "none") for kind in _MODALITIES}
    normalised = ", ".join(f"{kind} {how}" for kind, how in over.items() if how != "none")
    return f"{recipe.get('features.mode')}{f', normalised: {normalised}' if normalised else ''}"


def _recipe(one: Setup) -> str:
    return "; ".join([*_line(one), *_own_words(one)])


def _line(one: Setup) -> Iterable[str]:
    """Optimiser, batch, and for how long."""
    get = one.recipe.get
    if not one.recipe:
        return
    rates = [f"lr {written(get('model.learning.lr'))}"]
    if any(encoder.trained.endswith("fine-tuned") for encoder in one.encoders):
        rates.append(f"encoders {written(get('model.learning.encoder_lr'))}")
    if any(encoder.settings.get("adapter") for encoder in one.encoders):
        rates.append(f"adapters {written(get('model.learning.adapter_lr'))}")
    if get("model.learning.weight_decay"):
        rates.append(f"weight decay {written(get('model.learning.weight_decay'))}")
    yield f"{get('model.learning.optimizer')}, {', '.join(rates)}"
    seconds = get("trainer.batch_seconds")
    yield f"batch {written(get('trainer.batch_size')) if seconds is None else f'{seconds} s'}"
    patience = get("trainer.patience")
    stop = "" if patience is None else f", patience {patience}"
    epochs = get("trainer.max_epochs")
    yield f"at most {epochs} epoch{'' if epochs == 1 else 's'} by {get('trainer.monitor')}{stop}"
    yield str(get("trainer.precision"))


def _own_words(one: Setup) -> Iterable[str]:
    """What else is not the model's own, by its key."""
    found = [
        f"{key.removeprefix('model.').removeprefix('trainer.')}={written(one.recipe[key])}"
        for key in one.changed
        if key in one.recipe and key not in _SAID
    ]
    if found:
        yield f"not the model's own: {', '.join(found)}"
