"""Units of speech with their times, for every utterance, from the first source that has any.

Sources are asked in the order of `align.sources`, each only for what those before it lack, and a
level of an utterance comes from one source as a whole: boundaries of two aligners do not fit each
other. The whole utterance as one unit is always the last, so that a system that reads units can
read every utterance; where units come from is counted in the result.
"""

from collections import Counter
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field

from sermm.configuration.groups import AlignConfig
from sermm.configuration.verbs import AlignedConfig
from sermm.core.errors import InputError
from sermm.core.records import Level, Problem, Span
from sermm.engine.inputs.corpus import Loaded
from sermm.engine.inputs.unit_sources import MFA, NAMES, WHOLE, Source, make_source
from sermm.units.aligned import LEVELS, Aligned, mended
from sermm.units.syllables import is_arpabet, syllable_spans


@dataclass
class Units:
    """The units of one level.

    Attributes:
        spans: by utterance id, in order of time; all of an utterance from one source.
        problems: what sources could not do, and what was wrong with the spans they gave.
    """

    spans: dict[str, tuple[Span, ...]] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)

    @property
    def sources(self) -> dict[str, int]:
        """How many utterances have their units from where, most first."""
        return dict(Counter(spans[0].source for spans in self.spans.values()).most_common())


def units(config: AlignedConfig, loaded: Loaded, levels: Collection[Level]) -> dict[Level, Units]:
    """The units of every utterance: where no source has any, the whole utterance is one.

    Args:
        config: says where units come from.
        loaded: the corpus.
        levels: word, syllable, phone; one that is not asked for costs nothing.

    Returns:
        By level, for all utterances of the corpus.

    Raises:
        InputError: a level or a source is not known, or a source cannot be had.
    """
    names = sources_asked(config.align)
    # Made when its turn comes: an aligner that nobody needs is not even loaded.
    sources = (make_source(name, config, loaded) for name in names)
    return units_from(sources, loaded, levels, config.align.alaska)


def sources_asked(align: AlignConfig) -> list[str]:
    """The sources in their order, `whole` last.

    Args:
        align: `align` of the configuration.

    Returns:
        Names of `unit_sources.NAMES`; `whole` is moved to the end or added, since after it nothing
        is left to ask for.

    Raises:
        InputError: one is not known or comes twice, or a setting is for one that is not named.
    """
    names = align.sources
    if not names or set(names) - set(NAMES) or len(set(names)) < len(names):
        raise InputError(
            f"align.sources=[{','.join(names)}]: expected a list of some of "
            f"{', '.join(NAMES)}, each once, such as align.sources=[corpus,mfa]"
        )
    if align.mfa_dir is not None and MFA not in names:
        raise InputError(
            f"align.mfa_dir is set, but align.sources=[{','.join(names)}] does not name mfa; "
            f"give align.sources=[{','.join((MFA, *names))}] or the order that you want"
        )
    return [*(name for name in names if name != WHOLE), WHOLE]


def units_from(
    sources: Iterable[Source], loaded: Loaded, levels: Collection[Level], alaska: bool
) -> dict[Level, Units]:
    """The units that these sources have; one is asked only for what those before it lack.

    Args:
        sources: in their order.
        loaded: the corpus.
        levels: word, syllable, phone.
        alaska: how consonants between vowels go to syllables (`align.alaska`).

    Raises:
        InputError: a level is not known.
    """
    if unknown := set(levels) - set(LEVELS):
        raise InputError(f"levels: {', '.join(sorted(unknown))} is none of {', '.join(LEVELS)}")
    found = {level: Units() for level in levels}
    todo = loaded.reading.utterances
    for source in sources:
        todo = tuple(u for u in todo if any(u.id not in known.spans for known in found.values()))
        if not todo:
            break
        for u, aligned in source.align(todo, levels):
            lacking = [level for level in levels if u.id not in found[level].spans]
            duration_s = loaded.durations[u.id]
            for level in lacking:
                spans, problems = _of_level(level, u.id, aligned, source, duration_s, alaska)
                found[level].problems += problems
                if spans:
                    found[level].spans[u.id] = spans
    return found


def _of_level(
    level: Level,
    utterance_id: str,
    aligned: Aligned,
    source: Source,
    duration_s: float,
    alaska: bool,
) -> tuple[tuple[Span, ...], list[Problem]]:
    """A source's units of a level; syllables are made of phones if it has none.

    Args:
        level: that is wanted.
        utterance_id: whose units they are.
        aligned: what the source says of the utterance.
        source: names syllables that are made of its phones.
        duration_s: of the utterance; what lies beyond is cut or left out.
        alaska: how consonants between vowels go to syllables (`align.alaska`).

    Returns:
        Units in order of time, none if the source has none; and all that was wrong on the way.
        Phones of another alphabet than ARPAbet make no syllables: the rules are of English.
    """
    given = aligned.spans.get(level, ())
    spans, problems = mended(given, utterance_id, duration_s)
    if level == "syllable" and not spans:
        parts = [
            mended(aligned.spans.get(part, ()), utterance_id, duration_s)
            for part in ("phone", "word")
        ]
        (phones, _), (words, _) = parts
        problems = tuple(problem for _, more in parts for problem in more)
        if is_arpabet([phone.symbol for phone in phones]):
            spans = syllable_spans(phones, words, source.syllables, alaska)
    return spans, [*aligned.problems, *problems]
