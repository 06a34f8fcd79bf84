"""One pass of a frozen encoder over the utterances that a store lacks.

A pass serves all levels (frames, phones, syllables, words) that are asked for. Batches are alike in
length under a budget of seconds; the next one is decoded while the encoder works. Several
processes share the work by the stores' claims: each takes what is neither stored nor claimed, and
waits in the end for what others are still at.

Batches depend on what is missing and who is at it. Sequences lie end to end (`Ragged`), so the
states of an utterance are those that it would have alone, but for rounding: libraries add up in
another order in a batch of another size, or on more threads. On a CPU in float32 that is below 1e-6
of the largest value. What is stored stays as it is, so runs on one store agree to the bit; two
stores that were filled apart agree to this rounding.
"""

import math
import shutil
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

import torch
from torch import Tensor

from sermm.core.batch import Batch
from sermm.core.errors import InputError
from sermm.core.files import size_text
from sermm.core.progress import Progress
from sermm.core.ragged import Ragged
from sermm.encoders.base import Encoder, TextEncoder
from sermm.encoders.precision import computing, precision_for
from sermm.encoders.segments import segment_means
from sermm.engine.assembly.encoders import make_encoder
from sermm.engine.extraction.memory import freed_memory_kept
from sermm.engine.extraction.shared import Mine, SharedExtraction, Wanted, lacking
from sermm.engine.extraction.sources import Source, Spoken, Written
from sermm.engine.inputs.work import Work
from sermm.store.features import Writer

# What is to be written must leave this share of itself free.
_SPARE = 0.02
# Speech in one batch: a CPU's caches like it small, a GPU large.
_BATCH_S = {"cpu": 20.0, "cuda": 120.0}


@dataclass
class Extracted:
    """What came of a pass.

    Attributes:
        parts: what was wanted.
        stored: distinct utterances whose features were there.
        computed: those that this process computed.
        others: those that other processes computed meanwhile.
        seconds: speech that it computed (or what its tokens cost).
        took_s: time that took.
        bytes: what was (or, in a dry run, would be) written.
        failures: what could not be read, by utterance id.
    """

    parts: Sequence[Wanted]
    stored: int = 0
    computed: int = 0
    others: int = 0
    seconds: float = 0.0
    took_s: float = 0.0
    bytes: int = 0
    failures: dict[str, str] = field(default_factory=dict)


class Pass:
    """One encoder over what one or more of its stores lack.

    Args:
        parts: streams of the same encoder.
        work: utterances and configuration.

    Attributes:
        todo: an utterance for each sound or text that is missing somewhere, sorted by id.
        kind: `speech`, `text` or another word of the encoder for itself, for messages.
        done: what came of it so far.
    """

    def __init__(self, parts: Sequence[Wanted], work: Work) -> None:
        self.parts, self.work = parts, work
        self.options = work.config.features
        # Utterances that sound the same are computed once.
        distinct = {tuple(part.keys[i] for part in parts): i for i in work.utterances}
        self.todo = sorted(lacking(parts, distinct.values()))
        self.kind = parts[0].store.description["encoder"]
        self.done = Extracted(parts, stored=len(distinct) - len(self.todo))

    def run(self, dry_run: bool) -> Extracted:
        """Does the pass; if nothing is missing, the encoder is not even loaded.

        Args:
            dry_run: stop when it is known what would be computed and written.

        Returns:
            What came of it.

        Raises:
            InputError: it does not fit on the disk, or the encoder cannot be had.
        """
        if self.todo:
            encoder = make_encoder(self.parts[0].stream.encoder).eval()
            source: Source = Spoken(self.work, encoder)
            if isinstance(encoder, TextEncoder):
                source = Written(self.work, encoder, self.todo)
            self._announce(encoder, source)
            if not dry_run:
                start_s = time.monotonic()
                self.done.others = len(self.todo) - len(self._compute(encoder, source))
                self.done.took_s = time.monotonic() - start_s
        return self.done

    def _announce(self, encoder: Encoder, source: Source) -> None:
        """Says what will be computed and what of the disk it takes; refuses what does not fit.

        The size is known before anything is computed, from lengths and the encoder's `positions`:
        hours of work that end on a full disk would be worse than a refusal.

        Raises:
            InputError: it does not fit.
        """
        self.done.bytes = sum(self._bytes(part, encoder, source) for part in self.parts)
        root = self.parts[0].store.folder.parent
        free = shutil.disk_usage(_existing(root)).free
        levels = ", ".join(f"{part.stream.level}s" for part in self.parts)
        seconds = math.fsum(source.cost(i) for i in self.todo)
        hours = "" if isinstance(encoder, TextEncoder) else f" ({seconds / 3600:.2f} h)"
        print(
            f"features of {self.kind} ({levels}): {self.done.stored} utterances "
            f"stored, {len(self.todo)}{hours} to compute; {encoder.n_layers} layers of "
            f"{encoder.width} in {self.options.dtype} take {size_text(self.done.bytes)} of "
            f"{size_text(free)} free in {root}",
            file=sys.stderr,
            flush=True,
        )
        if self.done.bytes * (1 + _SPARE) > free:
            raise InputError(
                f"the features take {size_text(self.done.bytes)}, but {root} has "
                f"{size_text(free)} free; choose another place (cache_dir= or SERMM_CACHE), "
                "fewer layers (encoder.speech.layers=last), features.dtype=float16 or units "
                "instead of frames, or make room (sermm features prune)"
            )

    def _bytes(self, part: Wanted, encoder: Encoder, source: Source) -> int:
        """What a stream's missing states take: positions x layers x width x bytes of a value."""
        lack = set(part.store.missing(part.keys[i] for i in self.todo))
        units = self.work.units.get(part.stream.level, {})
        rows = {
            part.keys[i]: len(units[i]) if i in units else source.positions(i) for i in self.todo
        }
        n = sum(count for key, count in rows.items() if key in lack)
        return n * encoder.n_layers * encoder.width * part.store.dtype.itemsize

    def _compute(self, encoder: Encoder, source: Source) -> set[str]:
        """Runs the encoder over all batches; gives the utterances that were this process's.

        Left early, by Ctrl-C or an error, what was computed is written and what was claimed is
        given back: the writers see to it when the stack is left.
        """
        device = self.work.device
        precision = precision_for(str(self.options.precision), device)
        encoder.to(device)
        total = math.fsum(source.cost(i) for i in self.todo)
        budget_s = float(self.options.batch_seconds or _BATCH_S[device.type])
        with ExitStack() as stack:
            stack.enter_context(freed_memory_kept())
            writers = [stack.enter_context(part.store.writing()) for part in self.parts]
            bar = stack.enter_context(Progress(f"Extracting {self.kind}", total))
            loader = stack.enter_context(ThreadPoolExecutor(1))
            stack.enter_context(torch.inference_mode())
            stack.enter_context(computing(encoder, device.type, precision))
            shared = SharedExtraction(self.parts, writers, source, budget_s)
            shares = shared.shares(self.todo, bar)
            for mine, (batch, failures) in _ahead(loader, shares, lambda m: source.batch(m.ids)):
                self.done.failures |= failures
                if batch is not None:
                    self._save(encoder, batch.to(device), mine, writers)
                seconds = math.fsum(source.cost(i) for i in mine.ids)
                self.done.seconds += seconds
                bar.advance(seconds)
        return shared.mine

    def _save(self, encoder: Encoder, batch: Batch, mine: Mine, writers: Sequence[Writer]) -> None:
        """Runs the encoder over one batch and adds its states `[n layers d]` to each store.

        Args:
            encoder: on the device of the batch.
            batch: of what could be read of `mine`.
            mine: says which keys of which store are this process's.
            writers: of the stores, in the order of `parts`.

        Raises:
            InputError: a state is not finite in the type of the store.
        """
        hidden: Ragged = encoder(batch)
        for part, keys, writer in zip(self.parts, mine.keys, writers, strict=True):
            states = hidden
            if part.stream.level in batch.units:
                frame_s, literal = encoder.frame_s or 0.0, part.stream.literal
                units = batch.units[part.stream.level]
                states = segment_means(hidden, units, frame_s, literal)
            # Cast on the device: half as much has to leave a GPU.
            values = states.values.to(part.store.dtype).cpu()
            _refuse_infinite(values, batch, part.store.dtype)
            pieces = torch.split(values, states.sizes)
            rows = zip((part.keys[i] for i in batch.ids), pieces, strict=True)
            writer.add([(key, row) for key, row in dict(rows).items() if key in keys])
        self.done.computed += len(batch)


def _ahead(
    loader: ThreadPoolExecutor,
    shares: Iterator[Mine | None],
    read: Callable[[Mine], tuple[Batch | None, dict[str, str]]],
) -> Iterator[tuple[Mine, tuple[Batch | None, dict[str, str]]]]:
    """Reads what is claimed, one batch ahead of who takes it; None calls that one in.

    A None of `shares` comes before a wait for other processes. What has been read by then is handed
    on first, so that nobody waits for what this process holds and does not compute.

    Args:
        loader: of one thread, so that one batch is read at a time.
        shares: what is claimed, batch by batch.
        read: makes a batch of it; with the reasons for what cannot be read.
    """
    waiting = None
    for mine in shares:
        upcoming = None if mine is None else (mine, loader.submit(read, mine))
        if waiting is not None:
            yield waiting[0], waiting[1].result()
        waiting = upcoming
    if waiting is not None:
        yield waiting[0], waiting[1].result()


def _refuse_infinite(values: Tensor, batch: Batch, dtype: torch.dtype) -> None:
    # Both are NaN if any value is; twenty times as quick as asking each.
    """Finds states that are not finite, before they are kept for all runs to come.

    float16 ends at 65504, which single states of large models can exceed.

    Args:
        values: of a batch, in the type of the store.
        batch: for the message.
        dtype: of the store.

    Raises:
        InputError: there is one.
    """
    ends = torch.stack(torch.aminmax(values)) if values.numel() else values
    if not ends.isfinite().all():
        raise InputError(
            f"features of {batch.ids[0]} or another of its batch are not finite in {dtype}; "
            "use features.dtype=bfloat16 or float32"
        )


def _existing(folder: Path) -> Path:
    """The folder, or the nearest one above that is there: a new store has none yet."""
    return next(parent for parent in (folder, *folder.parents) if parent.exists())
