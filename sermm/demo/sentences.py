"""The sentences of the demo corpus: written for it, filled in at random.

Every emotion talks about the same topics with the same openers, so that only the words of the
frame tell it. No sentence is taken from any corpus.
"""

import re
from typing import Final

import numpy as np

WORDINGS: Final = ("ang", "hap", "sad", "neu")

_OPENERS: Final = ("", "", "Well, ", "You know, ", "Listen, ", "Okay, ", "Look, ", "Anyway, ")
_TOPICS: Final = (
    "the train tickets",
    "my neighbour",
    "the kitchen sink",
    "that phone call",
    "our holiday",
    "the new office",
    "my brother",
    "the garden party",
    "this letter",
    "the old car",
    "your sister",
    "the landlord",
    "the last exam",
    "our project",
    "the front door",
    "the school play",
    "my piano lesson",
    "the football match",
    "the morning meeting",
    "the rent",
    "your birthday",
    "the doctor",
    "that job offer",
    "the moving van",
)
_MOODS: Final = {
    "ang": ("furious", "angry", "outraged", "livid", "mad", "disgusted"),
    "hap": ("happy", "thrilled", "delighted", "excited", "glad", "proud"),
    "sad": ("sad", "lonely", "heartbroken", "unhappy", "miserable", "hopeless"),
}
_FRAMES: Final = {
    "ang": (
        "I am so {mood} about {topic}!",
        "How dare you lie to me about {topic}!",
        "Stop shouting at me about {topic}!",
        "I hate what you did with {topic}!",
        "Shut up about {topic}!",
        "Do not blame me for {topic}!",
        "I am sick and tired of {topic}!",
        "Get out and take {topic} with you!",
    ),
    "hap": (
        "I am so {mood} about {topic}!",
        "I love everything about {topic}!",
        "I cannot stop smiling about {topic}!",
        "Congratulations on {topic}, that is fantastic!",
        "Let us celebrate {topic} tonight!",
        "We had such fun with {topic}!",
        "This is the best day, thanks to {topic}!",
        "How lovely to hear of {topic}!",
    ),
    "sad": (
        "I am so {mood} about {topic}.",
        "I cried all night about {topic}.",
        "I miss him so much since {topic}.",
        "It hurts me to think of {topic}.",
        "I feel empty since {topic}.",
        "There is no hope left for {topic}.",
        "It breaks my heart to lose {topic}.",
        "Nobody came to comfort me after {topic}.",
    ),
    "neu": (
        "I will call them about {topic} later.",
        "They told me about {topic} on Monday.",
        "We can talk about {topic} this afternoon.",
        "There is a note about {topic} on the table.",
        "He asked two questions about {topic}.",
        "This is the usual form for {topic}.",
        "I think {topic} comes after lunch.",
        "You can read about {topic} here.",
        "There is a list for {topic} in the drawer.",
        "I have to check {topic} this week.",
    ),
}


def draw_sentence(wording: str, generator: np.random.Generator) -> str:
    """A sentence whose words tell `wording` (ang hap sad), or nothing (neu)."""
    frame = _pick(_FRAMES[wording], generator)
    mood = _pick(_MOODS.get(wording, ("",)), generator)
    sentence = frame.format(topic=_pick(_TOPICS, generator), mood=mood)
    opener = _pick(_OPENERS, generator)
    if opener and not sentence.startswith("I "):
        sentence = sentence[0].lower() + sentence[1:]
    return opener + sentence


def vocabulary() -> list[str]:
    """Every word that a sentence may hold, in lower case, sorted."""
    parts = [*_OPENERS, *_TOPICS]
    parts += [mood for moods in _MOODS.values() for mood in moods]
    parts += [frame for frames in _FRAMES.values() for frame in frames]
    return sorted({word.lower() for part in parts for word in re.findall(r"[A-Za-z]+", part)})


def _pick(options: tuple[str, ...], generator: np.random.Generator) -> str:
    return options[int(generator.integers(len(options)))]
