"""What a case of `sermm bench` gives: figures with units and limits; scratch folders for it.

Apart from the cases, so that `cases` and the modules that it names both import this.
"""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from sermm.core.seeding import generator


@dataclass(frozen=True)
class Measurement:
    """One line of the table.

    Attributes:
        case: of `sermm bench`.
        what: was measured.
        value: with its unit.
        unit: s, MB, x ...
        limit: what it should stay under; None = for information.
    """

    case: str
    what: str
    value: float
    unit: str
    limit: float | None = None


@contextmanager
def scratch() -> Iterator[Path]:
    """A folder that is gone afterwards.

    Under the folder for temporary files: its disk is what is measured, `TMPDIR` chooses another.
    """
    with tempfile.TemporaryDirectory(prefix="sermm-bench-") as folder:
        yield Path(folder)


def write_layout(root: Path, dialogues: int = 151, turns: int = 10039) -> None:
    """A tree of IEMOCAP's layout and size with made-up text and empty wavs.

    Lines come from `sermm.corpora.iemocap.layout`, as those of the demo corpus do.

    Args:
        root: where the corpus goes.
        dialogues: of all five sessions; IEMOCAP has 151.
        turns: of all dialogues, spread evenly; IEMOCAP has 10,039.
    """
    from sermm.core.records import Attributes, Vote
    from sermm.corpora.iemocap import layout

    rng = generator(0, "layout")
    for number in range(dialogues):
        session, index = 1 + number % 5, number // 5
        name = f"Ses0{session}{'FM'[index % 2]}_impro{index:02d}"
        count = turns // dialogues + (number < turns % dialogues)
        ids = [f"{name}_{'FM'[n % 2]}{n:03d}" for n in range(count)]
        labels = rng.choice(["ang", "hap", "sad", "neu", "xxx"], count)
        votes = (Vote("C-E1", ("Anger",)),) * 3
        dialogue = [
            layout.Turn(i, 5.0 * n, 5.0 * n + 4, str(labels[n]), Attributes(3.0, 3.0, 3.0), votes)
            for n, i in enumerate(ids)
        ]
        write(layout.evaluation_path(root, name), layout.evaluation_text(dialogue))
        lines = [
            layout.transcription_line(t.id, t.start_s, t.end_s, "made up words to read")
            for t in dialogue
        ]
        write(layout.transcription_path(root, name), "\n".join(lines))
        for i in ids:
            write(layout.sentence_path(root, i), "")


def write(path: Path, text: str) -> None:
    """Writes a scratch file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
