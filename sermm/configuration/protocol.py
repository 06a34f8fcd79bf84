"""What of a protocol a user gives on the command line, checked before a corpus is read."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, ConfigDict

from sermm.configuration.component import Component, NamedComponent, NamedField
from sermm.configuration.schema import Items, Record, Word, is_number
from sermm.core.records import Act


def _rule(key: str) -> BeforeValidator:
    """Takes a rule by its class; a name is a choice of the group, which has a slash."""

    def read(given: Any) -> Any:
        if isinstance(given, str):
            raise ValueError(f"expected a rule; to choose it by name, type protocol/{key}={given}")
        return given if given is None else Component.of(given)

    return BeforeValidator(read)


def _each_once(given: tuple[str, ...]) -> tuple[str, ...]:
    if len(set(given)) < max(2, len(given)):
        raise ValueError("expected two classes or more, each once")
    return given


class ProtocolValues(Record):
    """The arguments of a protocol that are checked; a class of somebody's own may have others.

    Attributes are those of `sermm.protocols.protocol.Protocol`.
    """

    model_config = ConfigDict(extra="ignore")

    labels: dict[str | int, str | int | None] | None = None
    classes: Annotated[Items[Word], AfterValidator(_each_once)] | None = None
    fold_rule: Annotated[Component | None, _rule("fold_rule")] = None
    validation_rule: Annotated[Component | None, _rule("validation_rule")] = None
    acts: Items[Act] | None = None
    absent_classes: Literal["refuse", "allow"] = "refuse"


def _words(protocol: NamedComponent) -> NamedComponent:
    """The protocol with labels and classes as text, which those of a table are."""
    given = protocol.arguments
    changed: dict[str, Any] = {}
    if isinstance(classes := given.get("classes"), list):
        changed["classes"] = [_word(one) for one in classes]
    if isinstance(labels := given.get("labels"), Mapping):
        # A null leaves a label out.
        told = {_word(label): _word(one) for label, one in labels.items()}
        changed["labels"] = {label: one for label, one in told.items() if one is not None}
    return replace(protocol, arguments={**given, **changed})


def _word(given: Any) -> Any:
    return str(given) if is_number(given) else given


ProtocolField = Annotated[NamedField, AfterValidator(_words)]
