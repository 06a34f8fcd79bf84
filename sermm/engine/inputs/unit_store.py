"""What slow aligners have found, kept by content: the samples and the text that they were given.

A store is a folder of parts, each written whole. A process writes one every few seconds, so what
is lost when it is killed is no more than that, and several may write at once.
"""

import json
import sys
import time
import uuid
from pathlib import Path
from typing import Any, Final

from sermm.core.digest import digest
from sermm.core.files import read_json, write_json, write_text
from sermm.core.records import Level, Problem, Span
from sermm.units.aligned import Aligned

_IDENTITY: Final = "aligner.json"
_EVERY_S: Final = 10.0


def key_of(audio_digest: str, text: str) -> str:
    """Names what an aligner is given."""
    return digest([audio_digest, text])


class AlignmentStore:
    """The findings of one aligner.

    Args:
        cache_dir: where stores lie.
        name: of the source.
        identity: what determines its spans; another one has another folder.
    """

    def __init__(self, cache_dir: str | Path, name: str, identity: dict[str, Any]) -> None:
        self.folder = Path(cache_dir) / "alignments" / digest(identity)[:16]
        self._name = name
        self._identity = identity
        self._kept: dict[str, Any] = {}
        self._new: dict[str, Any] = {}
        self._written = time.monotonic()
        for part in sorted(self.folder.glob("part-*.json")):
            self._read(part)

    def __contains__(self, key: object) -> bool:
        return key in self._kept

    def get(self, key: str, utterance_id: str) -> Aligned:
        """What was found, as of this utterance."""
        kept = self._kept[key]
        spans: dict[Level, tuple[Span, ...]] = {
            level: tuple(Span(symbol, a, b, level, self._name) for symbol, a, b in rows)
            for level, rows in kept["spans"].items()
        }
        problems = (Problem(utterance_id, what, kind) for kind, what in kept["problems"])
        return Aligned(spans, tuple(problems))

    def add(self, key: str, aligned: Aligned) -> None:
        """Keeps a finding; it is written within some seconds, or by `write`."""
        spans = {
            level: [[span.symbol, span.start_s, span.end_s] for span in found]
            for level, found in aligned.spans.items()
        }
        problems = [[problem.kind, problem.what] for problem in aligned.problems]
        self._new[key] = self._kept[key] = {"spans": spans, "problems": problems}
        if time.monotonic() - self._written > _EVERY_S:
            self.write()

    def write(self) -> None:
        """Writes what is new."""
        if self._new:
            if not (self.folder / _IDENTITY).exists():
                write_json(self.folder / _IDENTITY, self._identity)
            text = json.dumps(self._new, ensure_ascii=False, allow_nan=False)
            write_text(self.folder / f"part-{uuid.uuid4().hex}.json", text)
        self._new = {}
        self._written = time.monotonic()

    def _read(self, part: Path) -> None:
        try:
            content = read_json(part)
            if not all({"spans", "problems"} <= set(kept) for kept in content.values()):
                raise ValueError("it holds something else")
        except (OSError, ValueError, AttributeError, TypeError) as error:
            print(
                f"{part} cannot be read ({error}); what it held is aligned again", file=sys.stderr
            )
            return
        self._kept |= content
