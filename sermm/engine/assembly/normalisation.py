"""Observes what features are normalised by, before anything is trained or predicted.

`Normalised` encoders need statistics over utterances (`features.normalise=global` or `talker`);
those by utterance need none. Which utterances these are is the business of who calls: the training
part for a run, all that a talker says, the files of one `sermm predict`.
"""

from collections.abc import Iterable

import torch

from sermm.core.batch import Batch
from sermm.encoders.normalised import Normalised
from sermm.models.base import System


def observers(system: System, over: str) -> list[Normalised]:
    """The parts of a system that need statistics over the same.

    Args:
        system: whose encoders are searched.
        over: `global` or `talker`.
    """
    # They may be wrapped, as in what takes modalities away.
    parts = (part for encoder in system.encoders.values() for part in encoder.modules())
    found = [part for part in parts if isinstance(part, Normalised) and part.observes]
    return [part for part in found if part.over == over]


@torch.no_grad()
def observe(system: System, over: str, batches: Iterable[Batch], device: torch.device) -> None:
    """Takes statistics over batches, each utterance once; the parts are left on the CPU.

    Nothing is read where nothing of the system needs them.

    Args:
        system: whose parts observe; what they have observed before is forgotten.
        over: `global` or `talker`.
        batches: of the utterances that the statistics are taken over, without augmentation.
        device: where the encoders run.
    """
    # One pass over the batches for all parts: reading and decoding is what takes time.
    parts = observers(system, over)
    if not parts:
        return
    for part in parts:
        part.forget()
        part.eval().to(device)
    for batch in batches:
        for part in parts:
            part.observe(batch.to(device))
    for part in parts:
        part.cpu()
