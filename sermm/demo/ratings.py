"""Made-up judgements of the demo corpus: what three raters and sometimes the actor say."""

from typing import Final

import numpy as np

from sermm.core.records import Attributes, Vote

_RATERS: Final = ("E1", "E2", "E3")
_WORDS: Final = {
    "ang": "Anger",
    "hap": "Happiness",
    "exc": "Excited",
    "sad": "Sadness",
    "neu": "Neutral state",
    "fru": "Frustration",
    "sur": "Surprise",
    "fea": "Fear",
    "dis": "Disgust",
    "oth": "Other",
}
# Mean valence, activation and dominance, 1..5.
_SCALES: Final = {
    "ang": (1.8, 3.8, 4.0),
    "hap": (4.1, 3.3, 3.2),
    "exc": (4.1, 3.9, 3.5),
    "sad": (2.2, 2.2, 2.4),
    "neu": (3.0, 2.7, 2.9),
    "fru": (2.1, 3.2, 3.4),
    "sur": (3.3, 3.5, 2.9),
    "fea": (2.0, 3.4, 2.1),
    "dis": (2.0, 2.9, 3.4),
    "oth": (3.0, 3.0, 3.0),
    "xxx": (2.9, 3.0, 3.0),
}
_UNANIMOUS: Final = 0.6
_SELF_REPORT: Final = 0.5
_BLANK: Final = 0.02


def draw_votes(label: str, actor: str, draws: np.random.Generator) -> tuple[Vote, ...]:
    """Two of three raters agree on `label`, or all; on `xxx` no two. `actor` such as F1."""
    others = [str(w) for w in draws.permutation([w for c, w in _WORDS.items() if c != label])]
    if label == "xxx":
        words = others[:3]
    else:
        dissent = _WORDS[label] if draws.random() < _UNANIMOUS else others[0]
        words = [_WORDS[label], dissent, _WORDS[label]]
    votes = [Vote(rater, (word,)) for rater, word in zip(_RATERS, words, strict=True)]
    if draws.random() < _SELF_REPORT:
        votes.append(Vote(actor, (words[0],)))
    return tuple(votes)


def draw_attributes(
    label: str, draws: np.random.Generator
) -> tuple[Attributes, tuple[tuple[str, Attributes], ...]]:
    """The means over the raters, and each rater's; now and then one leaves dominance out."""
    noisy = np.array(_SCALES[label]) + 0.6 * draws.standard_normal((len(_RATERS), 3))
    given = np.clip(np.round(noisy), 1, 5)
    mean = Attributes(*(round(float(value), 4) for value in given.mean(axis=0)))
    rated = []
    for rater, (valence, activation, dominance) in zip(_RATERS, given.tolist(), strict=True):
        blank = draws.random() < _BLANK
        rated.append((rater, Attributes(valence, activation, None if blank else dominance)))
    return mean, tuple(rated)
