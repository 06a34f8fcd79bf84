"""What fine-tuning will take of the device's memory, said before it starts.

Weights, gradients and the optimiser's state are counted. Activations are measured: what a forward
pass keeps for the backward pass of the shortest and of the longest clip, from which follows what
it keeps whatever the length (weights in half precision) and by second of speech.

It is a note and not a limit: what the backward pass itself takes, and what the allocator cannot
use, is not in it. Nothing that it does changes the run. Systems that train no pre-trained encoder
are small, and get no note.
"""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from lightning import Callback, LightningModule, Trainer
from torch import Tensor, nn
from torch.autograd.graph import saved_tensors_hooks

from sermm.configuration.groups import LearningConfig
from sermm.core.memory import available_bytes
from sermm.encoders.hf.base import transformers_in
from sermm.engine.training.learner import Learner
from sermm.engine.training.out_of_memory import ways_out
from sermm.engine.training.task import Task
from sermm.models.base import System

# Epochs whose batches are looked at for the largest one.
_EPOCHS = 10
# Parameters that the optimiser's state is measured with.
_PROBE = 1024


@dataclass(frozen=True)
class Need:
    """Memory that training takes, in bytes; activations of the largest batch.

    Attributes:
        weights: all parameters and buffers, frozen ones too.
        gradients: of what is trained.
        state: what the optimiser keeps of what is trained, such as AdamW's two moments.
        activations: what the forward pass keeps for the backward pass.
    """

    weights: int
    gradients: int
    state: int
    activations: int

    @property
    def total(self) -> int:
        """All of it."""
        return self.weights + self.gradients + self.state + self.activations


class MemoryNote(Callback):
    """Says what a run that trains pre-trained encoders needs; warns if there is less.

    Args:
        task: that is trained.
    """

    def __init__(self, task: Task) -> None:
        self.task = task

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Prints the note. What is drawn here counts for nothing: every epoch seeds afresh.

        Lightning calls it when the system is on its device and a resumed run has its state again.
        """
        system = self.task.system
        if not (tunes(system) and trainer.is_global_zero and isinstance(pl_module, Learner)):
            return
        device = pl_module.device
        weights = sum(t.nbytes for t in (*system.parameters(), *system.buffers()))
        state = sum(_tensor_bytes(optimizer.state) for optimizer in trainer.optimizers)
        # Before the measurement, whose memory the allocator keeps.
        room = room_for(device, weights + state)
        trained = [p for p in system.parameters() if p.requires_grad]
        largest_s = largest_batch_s(self.task)
        need = Need(
            weights,
            sum(p.nbytes for p in trained),
            round(state_bytes(pl_module.learning, device) * sum(p.numel() for p in trained)),
            activations(pl_module, trainer, self.task, largest_s),
        )
        optimizer = type(trainer.optimizers[0]).__name__
        print(note(need, optimizer, largest_s, room), file=sys.stderr)
        if room is not None and need.total > room:
            settings = "; ".join(ways_out(self.task.config, device))
            print(f"  warning: more than there is; if it runs out: {settings}", file=sys.stderr)


def tunes(system: System) -> bool:
    """Whether something of a pre-trained encoder is trained."""
    pretrained = [encoder for encoder in system.encoders.values() if encoder.pretrained]
    return any(p.requires_grad for encoder in pretrained for p in encoder.parameters())


def note(need: Need, optimizer: str, largest_s: float, room: int | None) -> str:
    """The need in one line, for people.

    Args:
        need: in bytes.
        optimizer: its class.
        largest_s: seconds of speech in the largest batch.
        room: bytes that the run can have; None where nothing tells.
    """
    size, unit = (1e9, "GB") if need.total >= 1e9 else (1e6, "MB")
    of = "" if room is None else f" of {room / 1e9:.1f} GB"
    return (
        f"  memory: about {need.total / size:.1f} {unit} (weights {need.weights / size:.1f}, "
        f"gradients {need.gradients / size:.1f}, {optimizer} {need.state / size:.1f}, "
        f"activations {need.activations / size:.1f} for {largest_s:.0f} s of speech){of}"
    )


def largest_batch_s(task: Task) -> float:
    """Seconds of speech in the largest batch of the first epochs, each clip cut at `max_seconds`.

    Plans follow from seed and epoch, so they can be looked at before; more than a few epochs would
    find little more.
    """
    seconds = [_seconds(task, i) for i in task.fold.train]
    plan: Any = task.data.train_dataloader().batch_sampler
    most = 0.0
    for epoch in range(min(_EPOCHS, task.config.trainer.max_epochs)):
        plan.set_epoch(epoch)
        most = max(most, *(sum(seconds[i] for i in batch) for batch in plan))
    return most


def _seconds(task: Task, utterance_id: str) -> float:
    """What is heard of an utterance."""
    return float(min(task.loaded.durations[utterance_id], task.config.trainer.most_s))


def activations(learner: Learner, trainer: Trainer, task: Task, largest_s: float) -> int:
    """Bytes that the backward pass of a batch of so many seconds needs.

    Two batches of one clip each are measured, which have room where the largest batch may not.

    Args:
        learner: on its device.
        trainer: for its precision.
        task: that is trained.
        largest_s: seconds of speech in the batch that is asked about.
    """
    ids = sorted(task.fold.train, key=lambda i: _seconds(task, i))
    points = []
    for utterance_id in (ids[0], ids[-1]):
        batch = task.data.dataset([utterance_id])[0].to(learner.device)
        with _undisturbed(task), trainer.precision_plugin.forward_context():
            found = saved_bytes(learner, batch)
        points.append((_seconds(task, utterance_id), found))
    return extrapolated(points[0], points[1], largest_s)


def extrapolated(short: tuple[float, int], long: tuple[float, int], seconds: float) -> int:
    """Bytes at so many seconds, on the line through two points (seconds, bytes).

    Args:
        short: of the shortest clip.
        long: of the longest clip; where all are as long, the line goes through zero.
        seconds: asked about.
    """
    if long[0] <= short[0]:
        return round(long[1] * seconds / long[0])
    slope = max(0.0, (long[1] - short[1]) / (long[0] - short[0]))
    return round(long[1] + slope * (seconds - long[0]))


@contextmanager
def _undisturbed(task: Task) -> Iterator[None]:
    """Puts statistics of batch norms back, and keeps one layer of those that run again.

    The backward pass of a checkpointed layer needs its activations beside the inputs of all.
    """
    kept = [(buffer, buffer.clone()) for buffer in task.system.buffers()]
    again = transformers_in(task.system) if task.config.features.checkpointing else []
    try:
        for encoder in again:
            encoder.recompute(but=1)
        yield
    finally:
        for encoder in again:
            encoder.recompute()
        with torch.no_grad():
            for buffer, value in kept:
                buffer.copy_(value)


def saved_bytes(module: nn.Module, given: object) -> int:
    """Bytes that a forward pass keeps for the backward pass, less the module's own weights.

    Tensors that share a storage, such as views, count once.
    """
    own = {t.untyped_storage().data_ptr() for t in (*module.parameters(), *module.buffers())}
    found: dict[int, int] = {}

    def count(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in own:
            found[storage.data_ptr()] = storage.nbytes()
        return tensor

    with saved_tensors_hooks(count, lambda tensor: tensor):
        # As long as the graph lives no two of its tensors have the same address.
        graph = module(given)
    del graph
    return sum(found.values())


def state_bytes(learning: LearningConfig, device: torch.device) -> float:
    """Bytes of the optimiser's state for one parameter, from a step with a few.

    Only a step tells, as `model.learning.optimizer` may be any class. Single numbers, such as a
    count of steps, are kept once for a tensor and left out.
    """
    probe = nn.Parameter(torch.zeros(_PROBE, device=device))
    probe.grad = torch.zeros_like(probe)
    optimizer = learning.optimizer.make()([probe], lr=learning.lr)
    optimizer.step()
    return sum(t.nbytes for t in _tensors(optimizer.state) if t.numel() > 1) / _PROBE


def _tensor_bytes(state: Any) -> int:
    """Bytes of all tensors in an optimiser's state."""
    return sum(t.nbytes for t in _tensors(state))


def _tensors(state: Any) -> Iterator[Tensor]:
    return (t for one in state.values() for t in one.values() if isinstance(t, Tensor))


def room_for(device: torch.device, held: int) -> int | None:
    """Bytes that the run can have: what is free and what it holds; None where none can say.

    Args:
        device: that it trains on.
        held: bytes that the run has on it already. Of a GPU the allocator knows that itself.
    """
    if device.type == "cuda":
        return torch.cuda.mem_get_info(device)[0] + torch.cuda.memory_reserved(device)
    free = available_bytes()
    return None if free is None else free + held
