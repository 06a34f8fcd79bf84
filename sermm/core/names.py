"""Names of studies, which are names of folders too."""

from pathlib import Path

from sermm.core.errors import InputError

# Of a name on Linux and macOS.
_MOST_BYTES = 255
# `/` would be another folder; `STUDY:MODEL KEY=VALUE` divides by the other two.
_DIVIDERS = "/\\:="


def study_folder(runs_dir: Path | str, name: str) -> Path:
    """Where a new study lies: one folder in `runs_dir`, and nowhere else.

    Args:
        runs_dir: where studies are.
        name: as typed.

    Raises:
        InputError: no folder can have that name, or no word of a command could name it afterwards.
    """
    if problem := _problem(name):
        raise InputError(
            f"study={name!r}: {problem}; give a name such as first (runs_dir= or SERMM_RUNS says "
            "where studies lie)"
        )
    return Path(runs_dir) / name


def is_study_name(name: str) -> bool:
    """Whether a study may be called so."""
    return _problem(name) is None


def _problem(name: str) -> str | None:
    if not name.strip():
        return "the name is empty"
    if found := [one for one in _DIVIDERS if one in name]:
        return f"a study is one folder, and its name has no {found[0]}"
    if not name.isprintable():
        return "the name has control characters"
    if name[0] in ".-~" or name != name.strip():
        return "a name begins with a letter or a digit, and has no spaces around it"
    if (size := len(name.encode())) > _MOST_BYTES:
        return f"the name has {size} bytes, {_MOST_BYTES} at most"
    return None
