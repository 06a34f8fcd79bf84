"""What the runs of one system are called in trackers.

The report names the systems of a study apart by looking at all of them; a run knows only itself. So
a name has the model, the settings that were typed, and the first digits of the system's digest,
which say the rest: two systems never have one name. The runs of a system never have two: whoever
begins first notes the name in the study's folder, should others have been typed in other words.
"""

import re
from collections.abc import Mapping
from pathlib import Path

from sermm.core.files import write_text

# In the study's folder: a file a system, named by its digest.
NAMES = ".systems"
# Characters: W&B takes 128 for a name or a group, which says more than the system.
LONGEST = 110


def system_label(study_dir: Path, system: str, model: str, settings: Mapping[str, str]) -> str:
    """The name of a system in a study, `late_fusion width=8 [0123abcd]`, noted if it is new.

    Args:
        study_dir: of the study.
        system: the digest of its configuration without fold and seed.
        model: its name.
        settings: as the user typed them.
    """
    note = study_dir / NAMES / system
    if not note.is_file():
        mark = f"[{system[:8]}]"
        words = _words(model, settings, LONGEST - len(mark) - 1)
        write_text(note, with_end(words, mark, LONGEST))
    return note.read_text(encoding="utf-8")


def _words(model: str, settings: Mapping[str, str], longest: int) -> str:
    """Model and settings; of keys only the last part where there is no room for all."""
    pairs = sorted(settings.items())
    short = [(re.split("[./]", key)[-1], value) for key, value in pairs]
    full, less = (" ".join([model, *map("=".join, some)]) for some in (pairs, short))
    return full if len(full) <= longest else less


def with_end(text: str, end: str, longest: int) -> str:
    """`text end`, in which the text is cut if it is too long; the end, which tells apart, is not.

    Args:
        text: any.
        end: shorter than `longest`.
        longest: in characters.
    """
    room = longest - len(end) - 1
    return f"{text if len(text) <= room else text[: room - 1].rstrip() + '…'} {end}"
