"""Randomness from names: every draw has its own stream, derived from what it is for."""

import hashlib

import numpy as np


def seed_of(*parts: str | int) -> int:
    """A 63-bit seed from parts such as (seed, protocol, fold): the same on every machine."""
    text = "\x1f".join(str(part) for part in parts)
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") >> 1


def generator(*parts: str | int) -> np.random.Generator:
    """NumPy PCG64 seeded by `seed_of(*parts)`."""
    return np.random.Generator(np.random.PCG64(seed_of(*parts)))
