"""Repeated times with their spread, under a budget of seconds.

Cases that compare few things by hand use `best_of`: the shortest time is the one that nothing else
disturbed. `Stopwatch` is for many passes on large networks: medians with their range, in turns, and
what would take too long is scaled up from what was measured, and says so.
"""

import math
import statistics
import subprocess
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import torch

from sermm.core.figures import fixed

REPEATS = 5
# A pass that takes longer is not repeated.
_SLOW_S = 20.0


@dataclass(frozen=True)
class Times:
    """Seconds of one thing.

    Attributes:
        turns: as measured, turn by turn; empty if there was no time to measure.
        guess: seconds that it would have been, by scaling up; only where there are no turns.
    """

    turns: tuple[float, ...] = ()
    guess: float = math.nan

    @property
    def median(self) -> float:
        """Of the turns, or the guess; seconds."""
        return statistics.median(self.turns) if self.turns else self.guess

    @property
    def unit(self) -> str:
        """Seconds, and how far to trust them; stands behind the median in the table."""
        if not self.turns:
            return "s, NOT measured (over the time budget): scaled up from batch 1"
        return (
            f"s ({fixed(min(self.turns), 3)} to {fixed(max(self.turns), 3)}, n={len(self.turns)})"
        )

    def after(self, first: "Times") -> "Times":
        """Both, one after the other, turn by turn.

        Measured apart and added: a recogniser before a system need not run again for each system.

        Args:
            first: what comes before; measured in the same turns.
        """
        pairs = zip(self.turns, first.turns, strict=True)
        return Times(tuple(a + b for a, b in pairs), self.guess + first.guess)


@dataclass
class Stopwatch:
    """Measures passes in turns, so that a busy moment of the machine does not fall on one alone.

    Each turn begins with another pass: what runs before a pass changes what is in the caches.

    Args:
        device: waited for at both ends of each pass, as a GPU works on after a call has returned.
        budget_s: rounds that would end later than this after the start are not begun; may be inf.
    """

    device: torch.device
    budget_s: float
    _start_s: float = field(default_factory=time.perf_counter)

    def measure(
        self, passes: Mapping[str, Callable[[], object]], guesses: Mapping[str, float] | None = None
    ) -> dict[str, Times]:
        """A warm-up and five turns of all passes; slow passes have a single turn and no warm-up.

        Args:
            passes: by name.
            guesses: seconds that each is thought to take; without them it is always measured.

        Returns:
            Times by name; the guesses, where the budget does not last for all of them.
        """
        rounds = 1 + REPEATS
        if guesses is not None:
            rounds = 1 if max(guesses.values()) > _SLOW_S else rounds
            spent_s = time.perf_counter() - self._start_s
            if spent_s + rounds * sum(guesses.values()) > self.budget_s:
                return {name: Times(guess=guess) for name, guess in guesses.items()}
        names = list(passes)
        found: dict[str, list[float]] = {name: [] for name in names}
        for turn in range(rounds):
            first = turn % len(names)
            for name in names[first:] + names[:first]:
                found[name].append(self.once(passes[name]))
        return {name: Times(tuple(times[rounds > 1 :])) for name, times in found.items()}

    def once(self, action: Callable[[], object]) -> float:
        """Seconds of one pass, until the device has finished."""
        self._wait()
        start_s = time.perf_counter()
        action()
        self._wait()
        return time.perf_counter() - start_s

    def _wait(self) -> None:
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)


def best_of(n: int, action: Callable[[], object]) -> float:
    """The shortest of n times, in seconds.

    Args:
        n: how often.
        action: what is timed; what it returns is dropped.
    """
    times = []
    for _ in range(n):
        start_s = time.perf_counter()
        action()
        times.append(time.perf_counter() - start_s)
    return min(times)


def ratio(first: float, second: float) -> float:
    """How many times longer the first took; both in the same unit."""
    return first / second


def run(command: list[str]) -> None:
    """Runs a command silently.

    Raises:
        subprocess.CalledProcessError: it failed, so its time would mean nothing.
    """
    subprocess.run(command, check=True, capture_output=True)
