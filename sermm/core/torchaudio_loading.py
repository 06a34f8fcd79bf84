"""torchaudio beside a torch that its compiled part does not fit.

The registry's wheel of torchaudio is linked against CUDA. Beside a CPU-only torch, or one for
another CUDA, it cannot be loaded; `import torchaudio` fails, and transformers with it, which
imports it wherever it is installed. But resampling and spectra are written in Python, and
torchaudio (from 2.11) does without the compiled part where its files are missing. So here a file
that cannot be loaded counts as missing. What needs it, forced alignment, says so when called.
"""

import sys
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder, SourceFileLoader
from importlib.util import spec_from_file_location
from types import ModuleType
from typing import Any

_LOADS_IT = "torchaudio._extension.utils"
# In an order in which each can be loaded.
_LIBRARIES = ("libtorchaudio", "_torchaudio")


class _Loader(SourceFileLoader):
    """Of the module of torchaudio that loads its compiled part."""

    def exec_module(self, module: ModuleType) -> None:
        super().exec_module(module)
        loading: Any = getattr(module, "_load_lib", None)

        # One of them alone is no use: torchaudio 2.11.1 beside torch 2.11.0 has such a one.
        def load(_name: str) -> bool:
            try:
                return all(loading(name) for name in _LIBRARIES)
            except OSError:
                return False

        setattr(module, "_load_lib", load)  # noqa: B010 (mypy: a module has no such attribute)


class _Finder(MetaPathFinder):
    def find_spec(
        self, fullname: str, path: Any, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if fullname != _LOADS_IT:
            return None
        found = PathFinder.find_spec(fullname, path, target)
        if found is None or found.origin is None:
            return None
        loader = _Loader(fullname, found.origin)
        return spec_from_file_location(fullname, found.origin, loader=loader)


def tolerate_missing_extension() -> None:
    """Has every later `import torchaudio` of this process do without what cannot be loaded."""
    if not any(isinstance(one, _Finder) for one in sys.meta_path):
        sys.meta_path.insert(0, _Finder())
