"""What a number was made with: library versions and the state of the code.

Both go into every `result.json`. A report warns where the runs of a table come from several commits
or from code that was changed and not committed. Looked up once in a process: git takes a while.
"""

import platform
import subprocess
from functools import lru_cache
from importlib.metadata import version
from pathlib import Path

from sermm.core.digest import digest
from sermm.runs.result import Git

LIBRARIES = ("sermm", "torch", "torchaudio", "lightning", "transformers", "hydra-core", "numpy")


@lru_cache
def versions() -> dict[str, str]:
    """Versions by library name, Python's too."""
    return {"python": platform.python_version(), **{name: version(name) for name in LIBRARIES}}


@lru_cache
def git_state() -> Git:
    """The commit, and the digest of what is not committed; all None outside a checkout.

    Only `sermm` and `conf` count: what else is changed cannot change a result.
    """
    root = Path(__file__).resolve().parents[2]
    if not (root / ".git").exists():
        return Git()
    commit = _git(root, "rev-parse", "HEAD")
    diff = _git(root, "diff", "HEAD", "--", "sermm", "conf")
    return Git(commit, bool(diff), digest(diff)[:16] if diff else None)


def _git(root: Path, *arguments: str) -> str | None:
    """What git prints; None where it fails or there is nothing to say it of."""
    done = subprocess.run(
        ["git", "-C", str(root), *arguments], capture_output=True, text=True, check=False
    )
    return done.stdout.strip() if done.returncode == 0 else None
