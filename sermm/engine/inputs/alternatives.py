"""Which protocols accept a corpus: they are tried, where the one that was asked for does not."""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from sermm.configuration.component import Component
from sermm.configuration.compose import conf_dir, each_of, read_yaml
from sermm.core.errors import InputError
from sermm.core.records import Utterance
from sermm.core.seeding import generator
from sermm.protocols.folds import grouped, natural
from sermm.protocols.protocol import Protocol

Plain = Mapping[str, Any]
# What a user may have changed of a protocol, and gives again with another one.
_SCHEME: Final = ("labels", "classes", "absent_classes")
# For corpora of any kind: other rules of validation are tried with these.
_ANY_CORPUS: Final = ("groups5", "speaker_out")
_BY_GROUP: Final = "loso4"
_MOST_CLASSES: Final = 12
_DEALS: Final = 300
# What needs no quotes on the command line.
_PLAIN: Final = re.compile(r"[A-Za-z]\w*", re.ASCII)


@dataclass(frozen=True)
class Trial:
    """A corpus that a protocol did not fit.

    Attributes:
        asked: the protocol, as it stands in the configuration.
        utterances: of all labels.
        chosen: what a protocol takes of utterances; raises `InputError` where that is nothing.
        seed: for protocols that draw at random.
    """

    asked: Plain
    utterances: tuple[Utterance, ...]
    chosen: Callable[[Protocol, Sequence[Utterance]], tuple[Utterance, ...]]
    seed: int = 0

    @property
    def protocol(self) -> Protocol:
        """The protocol that was asked for."""
        made: Protocol = Component.of(self.asked).make()
        return made

    @property
    def selected(self) -> tuple[Utterance, ...]:
        """What it takes; may be nothing."""
        try:
            return self.protocol.select(self.utterances)
        except InputError:
            return ()

    def accepts(self, plain: Plain) -> bool:
        """Whether a protocol has folds on the corpus."""
        try:
            protocol: Protocol = Component.of(plain).make()
            return bool(protocol.folds(self.chosen(protocol, self.utterances), self.seed))
        except InputError:
            return False


def ways_out(trial: Trial) -> list[str]:
    """What accepts the corpus, a line for each way, nearest first; why not, where nothing does."""
    shipped = each_of("protocol")
    asked, own = trial.asked, shipped.get(str(trial.asked["name"]), {})
    changed = {key: asked[key] for key in _SCHEME if key in asked and asked[key] != own.get(key)}
    # One that shares talkers says nothing of new ones, so it is no way out.
    honest = {name: {**one, **changed} for name, one in shipped.items() if not one.get("leaky")}
    for classes in _scheme_changes(trial):
        given = {"classes": list(classes)} if classes else {}
        options = {name: {**plain, **given} for name, plain in honest.items()}
        if lines := list(_lines(trial, options)):
            return [f"{_with(classes)}{line}" for line in lines]
    return [_why_none(trial)]


def _with(classes: Sequence[str]) -> str:
    """The words that give the classes, as they are typed; nothing where there are none."""
    words = [one if _PLAIN.fullmatch(one) else f'"{one}"' for one in classes]
    return f"with 'protocol.classes=[{','.join(words)}]' " if words else ""


def _lines(trial: Trial, options: Mapping[str, Plain]) -> Iterator[str]:
    """Protocols as they are; else those with another validation rule, or that allow for more."""
    tried = {f"protocol={name}": plain for name, plain in options.items()}
    if found := _accepted(trial, tried):
        yield f"protocols that accept this corpus: {found}"
        return
    rules = read_yaml(conf_dir() / "protocol" / "_rules.yaml")["validation_rule"]
    bases = {trial.asked["name"], *_ANY_CORPUS}
    tried = {
        f"protocol={name} protocol/validation_rule={rule}": {**plain, "validation_rule": one}
        for name, plain in options.items()
        if name in bases
        for rule, one in rules.items()
    }
    if found := _accepted(trial, tried):
        yield f"validated by another rule, this corpus is accepted by: {found}"
    tried = {
        f"protocol={name} protocol.absent_classes=allow": {**plain, "absent_classes": "allow"}
        for name, plain in options.items()
    }
    if found := _accepted(trial, tried):
        yield f"its folds may lack a class (UA is then over the others) with: {found}"
    yield from _with_groups(trial, options)


def _accepted(trial: Trial, tried: Mapping[str, Plain]) -> str:
    """The words of those that accept the corpus, in one line."""
    return ", ".join(words for words, plain in tried.items() if trial.accepts(plain))


def _scheme_changes(trial: Trial) -> Iterator[tuple[str, ...]]:
    """Classes to try: as asked (empty), those that are there, those of more than one talker."""
    yield ()
    protocol, selected = trial.protocol, trial.selected
    by_class = grouped(selected, lambda u: protocol.labels[str(u.label)])
    there = tuple(name for name in protocol.classes if name in by_class)
    if not there:
        there = tuple(
            sorted({u.label for u in trial.utterances if u.label is not None}, key=natural)
        )
    if 2 <= len(there) <= _MOST_CLASSES and there != protocol.classes:
        yield there
    shared = tuple(name for name in there if len(_talkers(by_class.get(name, ()))) > 1)
    if len(shared) >= 2 and shared not in (there, protocol.classes):
        yield shared


def _with_groups(trial: Trial, options: Mapping[str, Plain]) -> Iterator[str]:
    """Whether groups of talkers would do where talkers do not, such that each has every class."""
    by_group = {
        f"protocol={name}": plain
        for name, plain in options.items()
        if plain["fold_rule"] == options[_BY_GROUP]["fold_rule"]
    }
    for n in (3, 2):
        groups = _dealt(trial, n)
        of = {talker: str(i) for i, group in enumerate(groups, start=1) for talker in group}
        grouped_so = tuple(replace(u, group=of.get(u.speaker)) for u in trial.selected)
        found = _accepted(replace(trial, utterances=grouped_so), by_group) if groups else ""
        if found:
            example = " | ".join(", ".join(sorted(group, key=natural)) for group in groups)
            yield (
                "a column `group` (data.columns.group) that puts talkers together, so that each "
                f"group has every class, for instance {example}, makes it fit: {found}"
            )
            return


def _dealt(trial: Trial, n: int) -> list[list[str]]:
    """The talkers in n groups that all have every class; none if a few hundred deals find none."""
    protocol = trial.protocol
    said = grouped(trial.selected, lambda u: u.speaker)
    classes = {name: {protocol.labels[str(u.label)] for u in one} for name, one in said.items()}
    rng = generator(0, "groups of talkers", n)
    for _ in range(_DEALS if len(said) > n else 0):
        ordered = [list(said)[i] for i in rng.permutation(len(said))]
        groups = [ordered[i::n] for i in range(n)]
        if all(
            set().union(*(classes[one] for one in group)) == set(protocol.classes)
            for group in groups
        ):
            return groups
    return []


def _why_none(trial: Trial) -> str:
    """That nothing accepts the corpus, and what of it is so."""
    protocol, selected = trial.protocol, trial.selected
    by_class = grouped(selected, lambda u: protocol.labels[str(u.label)])
    talkers = _talkers(selected)
    if len(by_class) < 2:
        why = f"there is nothing to tell apart, only {', '.join(by_class) or 'other labels'}"
    elif len(talkers) == 1:
        why = f"all of it is said by one talker, {talkers[0]}, and nobody is left to be tested"
    elif alone := {c: t[0] for c, said in by_class.items() if len(t := _talkers(said)) == 1}:
        listed = ", ".join(f"{name} (talker {talker})" for name, talker in alone.items())
        why = (
            f"classes that one talker says alone cannot be tested on a talker that training has "
            f"not heard: {listed}"
        )
    else:
        why = "too few utterances, classes or talkers are left"
    return f"no protocol accepts this corpus: {why}"


def _talkers(utterances: Iterable[Utterance]) -> list[str]:
    return sorted({u.speaker for u in utterances})
