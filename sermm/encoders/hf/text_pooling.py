"""One state for a whole text in place of one for each of its tokens."""

from typing import Literal, get_args

import torch

from sermm.core.errors import InputError
from sermm.core.ragged import Ragged

Pool = Literal["first", "last", "mean"] | None


def checked(pool: Pool, causal: bool, key: str) -> Pool:
    """The choice, if it is one.

    Args:
        pool: what is made of the tokens' states.
        causal: the model reads from left to right.
        key: of the encoder, for the message.

    Raises:
        InputError: there is no such choice, or it is the first token of a model that has read
            nothing else there.
    """
    known = get_args(get_args(Pool)[0])
    if pool is not None and pool not in known:
        raise InputError(
            f"{key}.pool={pool}: expected null (every token), or one of {', '.join(known)}"
        )
    if pool == "first" and causal:
        raise InputError(
            f"{key}.pool=first: this model reads from left to right, and at its first token it has "
            f"read nothing else; use {key}.pool=last or mean"
        )
    return pool


def pooled(states: Ragged, pool: Pool) -> Ragged:
    """States `[n *d]` of tokens -> one an utterance; of an utterance without tokens none.

    Args:
        states: as the model gives them.
        pool: first or last token, or the mean over all; None: they stay as they are.
    """
    if pool is None:
        return states
    real = states.lengths > 0
    ends = torch.cumsum(states.lengths, 0)
    if pool == "mean":
        rows = states.mean()[real.to(states.values.device)]
    else:
        at = ends - states.lengths if pool == "first" else ends - 1
        rows = states.values[at[real].to(states.values.device)]
    return Ragged(rows, real.to(torch.int64))
