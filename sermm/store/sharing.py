"""Work that processes share through the claims of a store: each does what no other is at."""

import math
import time
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final, Generic, TypeVar

from sermm.core.progress import Progress

_WAIT_S: Final = 0.5


@dataclass(frozen=True)
class Share:
    """What this process does next; it has claimed it.

    Attributes:
        ids: the items.
    """

    ids: list[str]


Claimed = TypeVar("Claimed", bound=Share)


class SharedWork(ABC, Generic[Claimed]):
    """Items to be computed and stored, by this process and by others at the same time.

    Attributes:
        mine: the items that this process has claimed.
    """

    def __init__(self) -> None:
        self.mine: set[str] = set()

    @abstractmethod
    def batches(self, ids: Sequence[str]) -> Iterable[list[str]]:
        """Parts items into batches, in the order in which they are best computed."""

    @abstractmethod
    def claim(self, batch: list[str]) -> Claimed:
        """Those of a batch that are neither stored nor claimed by another live process."""

    @abstractmethod
    def lacking(self, ids: list[str]) -> list[str]:
        """Those of the items that are not stored now."""

    @abstractmethod
    def cost(self, item: str) -> float:
        """What an item counts in the progress that is shown."""

    def hand_in(self) -> None:
        """Stores what is held back, before waiting: another process may be waiting for it."""

    def shares(self, todo: Sequence[str], progress: Progress) -> Iterator[Claimed | None]:
        """What this process computes, a batch at a time; ends when nothing is missing.

        What a process that died had claimed is taken over. None comes before every wait, so that
        who reads ahead computes first what it has read.
        """
        left = list(todo)
        while left:
            for batch in self.batches(left):
                share = self.claim(batch)
                self.mine.update(share.ids)
                if share.ids:
                    progress.say("")
                    yield share
            others = [item for item in left if item not in self.mine]
            left = self.lacking(others)
            progress.advance(math.fsum(self.cost(item) for item in set(others) - set(left)))
            if left:
                yield None
                progress.say("waiting for another process")
                self.hand_in()
                time.sleep(_WAIT_S)
