"""Imports of what is large."""

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def uncollected() -> Iterator[None]:
    """Within, nobody looks for garbage; what is there at the end is never looked at again.

    Among the million objects of torch and Lightning there is none, and to look at them again and
    again takes a quarter of the time that their import does.
    """
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()
