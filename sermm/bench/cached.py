"""What `sermm bench cached` measures: training on stored features of twelve layers.

Three things: an epoch of late fusion, a step of co-attention, and the layer mix by itself, which is
bound by memory and so compared with a copy. The rival is what is usually written (`padded`): padded
float32 batches with masks, in random order; lengths vary so much that most of such a batch is
padding. Ours is ragged and float16. Both compute the same, with the same weights.

The features are made up; their lengths are like IEMOCAP's.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from sermm.bench.epoch import Silent, bare_epochs, lightning_epochs
from sermm.bench.measures import Measurement, scratch
from sermm.bench.padded import PaddedCoAttention, PaddedLateFusion, padded
from sermm.bench.timing import best_of, ratio
from sermm.configuration.groups import HUMAN
from sermm.configuration.verbs import RunConfig
from sermm.core.digest import digest
from sermm.core.ragged import Ragged
from sermm.core.records import Fold, Reading, Utterance
from sermm.core.seeding import generator
from sermm.data.dataset import StoredStream
from sermm.encoders.layer_mix import LayerMix
from sermm.engine.assembly.build import build, save_assets
from sermm.engine.fold_data import data_module
from sermm.engine.inputs.corpus import Loaded
from sermm.engine.inputs.work import work_of
from sermm.engine.training.task import Task
from sermm.models.coattention import CoAttention
from sermm.models.late_fusion import LateFusion
from sermm.protocols.balance import Balance
from sermm.protocols.folds import TalkerGroups
from sermm.protocols.protocol import Protocol
from sermm.runs.folder import RunFolder
from sermm.store.features import FeatureStore

_CLASSES = ("ang", "hap", "neu", "sad")
_RATES_HZ = {"text": 3.3, "frame": 50.0, "phone": 9.0}
# Of a lognormal with a mean of 4.5 s.
_LOG_MEAN, _LOG_DEVIATION, _LONGEST_S = 1.32, 0.6, 15.0
# Of one utterance, in the batch that is only mixed.
_POSITIONS = 225
HALF = torch.float16


@dataclass(frozen=True)
class CachedWorkload:
    """How much is measured.

    Attributes:
        utterances: of an epoch.
        batch: utterances in a batch.
        layers: hidden states a position.
        width: of a hidden state.
        copied: numbers in the copy that tells the memory's bandwidth.
        turns: how often each is measured; the shortest counts.
    """

    utterances: int = 128
    batch: int = 32
    layers: int = 12
    width: int = 768
    copied: int = 1 << 26
    turns: int = 3


def cached_case() -> list[Measurement]:
    """Late fusion, co-attention, and the layer mix by itself."""
    workload = CachedWorkload()
    with scratch() as root:
        corpus = Corpus(root, workload)
        return [*late_fusion(corpus), *coattention(corpus), *mixing(workload)]


class Corpus:
    """Utterances without sound, and the stored features of their streams.

    Args:
        root: a folder.
        workload: of the corpus.

    Attributes:
        seconds: of each utterance, by id.
        streams: its stored features by stream, float16.
    """

    def __init__(self, root: Path, workload: CachedWorkload) -> None:
        self.root, self.workload = root, workload
        rng = generator(0, "bench cached")
        drawn = rng.lognormal(_LOG_MEAN, _LOG_DEVIATION, workload.utterances)
        self.seconds = {f"{n:04d}": min(float(s), _LONGEST_S) for n, s in enumerate(drawn)}
        self.ids = tuple(self.seconds)
        self.streams = {name: self._stream(name, rate) for name, rate in _RATES_HZ.items()}

    def _stream(self, name: str, rate_hz: float) -> StoredStream:
        """Features in a store, positions as the stream has them; all are cut from one tensor."""
        description = {"encoder": "bench", "stream": name, "dtype": name_of(HALF)}
        store = FeatureStore(self.root / "features", description)
        keys = {i: digest([name, i]) for i in self.ids}
        longest = round(rate_hz * _LONGEST_S)
        values = torch.randn(longest, self.workload.layers, self.workload.width).to(HALF)
        with store.writing() as writer:
            writer.claim(list(keys.values()))
            for i, seconds in self.seconds.items():
                writer.add([(keys[i], values[: max(1, round(rate_hz * seconds))])])
        return StoredStream(store, keys)

    def sequences(self, name: str, ids: Sequence[str]) -> Sequence[Tensor]:
        """The states of some utterances in one stream, `[n layers d]` in float32."""
        stream = self.streams[name]
        found = stream.store.read([stream.keys[i] for i in ids]).split()
        return [one.float().contiguous() for one in found]

    def shuffled(self) -> list[str]:
        """All ids, always in the same random order."""
        order: list[str] = generator(0, "bench order").permutation(self.ids).tolist()
        return order

    def task(self, name: str, model: str, streams: Sequence[str]) -> Task:
        """A run without validation.

        Args:
            name: of its folder.
            model: late_fusion or coattention.
            streams: that it reads.
        """
        words = ["data=manifest", "protocol=groups5", "features=cached", f"model={model}"]
        words += [f"model.streams=[{','.join(streams)}]", "trainer.accelerator=cpu"]
        words += [f"trainer.batch_size={self.workload.batch}"]
        config = RunConfig.of(words)
        stored = {f"streams.{name}": self.streams[name] for name in streams}
        shapes = {name: stream.shape for name, stream in stored.items()}
        system = build(config, len(_CLASSES), None, [], shapes)
        run = RunFolder(self.root / name)
        save_assets(system, run.assets)
        loaded, fold = self._loaded(), Fold(1, self.ids, (), ())
        data = data_module(work_of(config, loaded, self.ids, []), config, fold, system, stored)
        return Task(config, run, loaded, fold, system, data, {})

    def _loaded(self) -> Loaded:
        utterances = tuple(
            Utterance(i, "bench", self.root / f"{i}.wav", _CLASSES[n % len(_CLASSES)], "talker")
            for n, i in enumerate(self.ids)
        )
        reading = Reading(utterances)
        mapping = {name: name for name in _CLASSES}
        protocol = Protocol("bench", mapping, _CLASSES, fold_rule=TalkerGroups(2))
        texts = dict.fromkeys(self.ids, "")
        source, balance = {"source": HUMAN}, Balance.of(reading, protocol)
        return Loaded(Silent(reading), reading, protocol, self.seconds, {}, texts, source, balance)


def late_fusion(corpus: Corpus) -> list[Measurement]:
    """Epochs of text, frames and phones, in turns, so that a busy moment does not fall on one."""
    names = tuple(_RATES_HZ)
    rival: Any = PaddedLateFusion(
        cast(LateFusion, corpus.task("rival", "late_fusion", names).system)
    )
    by_length = sorted(corpus.ids, key=corpus.seconds.__getitem__)
    # Each is measured `turns` times, and the shortest time counts.
    times: dict[str, list[float]] = {name: [] for name in ("random", "sorted", "bare", "whole")}
    for turn in range(corpus.workload.turns):
        bare, whole = (corpus.task(f"{k}{turn}", "late_fusion", names) for k in ("bare", "whole"))
        times["random"].append(sum(padded_steps(corpus, bare, rival, names, corpus.shuffled())))
        times["sorted"].append(sum(padded_steps(corpus, bare, rival, names, by_length)))
        times["bare"].append(bare_epochs(bare, n=2))
        times["whole"].append(lightning_epochs(whole, n=3))
    took = {name: min(found) for name, found in times.items()}
    what = "late fusion epoch"
    return [
        _measure(f"{what}: padded, random order", took["random"], "s"),
        _measure(f"{what}: padded, sorted", took["sorted"], "s"),
        _measure(f"{what}: ours, in memory", took["bare"], "s"),
        _measure(f"{what}: ours, Lightning and store", took["whole"], "s"),
        _measure("ratio: in memory to padded", ratio(took["bare"], took["random"]), "x", 0.1),
        _measure("ratio: Lightning and store to padded", ratio(took["whole"], took["random"]), "x"),
        _measure(
            "ratio: Lightning and store to in memory", ratio(took["whole"], took["bare"]), "x", 1.5
        ),
    ]


def coattention(corpus: Corpus) -> list[Measurement]:
    """A training step of text and frames: the mean of ours over an epoch, and one padded."""
    names = ("text", "frame")
    task = corpus.task("coattention", "coattention", names)
    rival = PaddedCoAttention(cast(CoAttention, task.system))
    with torch.autocast("cpu", torch.bfloat16):
        ours_s = bare_epochs(task, n=1) / len(task.data.train_dataloader())
    ids = corpus.shuffled()[: corpus.workload.batch]
    (padded_s,) = padded_steps(corpus, task, rival, names, ids)
    return [
        _measure("co-attention step: padded, random order", padded_s, "s"),
        _measure("co-attention step: ours, in bf16", ours_s, "s", 5.5),
        _measure("ratio: ours to padded", ratio(ours_s, padded_s), "x"),
    ]


def padded_steps(
    corpus: Corpus, task: Task, model: nn.Module, names: Sequence[str], order: Sequence[str]
) -> list[float]:
    """Seconds of a training step for each batch, which is in memory, padded and in float32.

    Args:
        corpus: whose features are padded before the clock starts.
        task: of ours; its optimiser is used.
        model: the rival.
        names: of the streams.
        order: ids, batch after batch.
    """
    options = task.config.model.learning
    optimizer = options.optimizer.make()(model.parameters(), lr=options.lr)
    times = []
    for first in range(0, len(order), corpus.workload.batch):
        ids = order[first : first + corpus.workload.batch]
        batch = {name: padded(corpus.sequences(name, ids)) for name in names}
        labels = torch.arange(len(ids)) % len(_CLASSES)
        start_s = time.perf_counter()
        optimizer.zero_grad()
        logits = model(batch)
        torch.autograd.backward(F.cross_entropy(logits, labels))
        optimizer.step()
        times.append(time.perf_counter() - start_s)
    return times


def mixing(workload: CachedWorkload) -> list[Measurement]:
    """Bytes read and written by the mix in a second, against a plain copy in memory.

    The mix reads every layer once and writes one, so a copy of as many bytes is the best it could
    do. `normalised` gives each layer a mean and a deviation on the way.
    """
    source = torch.ones(workload.copied)
    target = torch.empty_like(source)
    actions: dict[str, tuple[float, Callable[[], object]]] = {
        "copy": (2.0 * source.nbytes, lambda: target.copy_(source))
    }
    for dtype in (torch.float32, HALF):
        # Layer first, as the store gives them.
        shape = (workload.layers, workload.batch * _POSITIONS, workload.width)
        states = torch.ones(shape, dtype=dtype).transpose(0, 1)
        for normalised in (False, True):
            name = f"{name_of(dtype)}, normalised" if normalised else name_of(dtype)
            forward, both = mixes(states, normalised)
            mixed = states.shape[0] * states.shape[2] * 4.0
            actions[f"{name}: forward"] = (states.nbytes + mixed, forward)
            actions[f"{name}: both ways"] = (2 * (states.nbytes + mixed), both)
    times: dict[str, list[float]] = {name: [] for name in actions}
    for _ in range(workload.turns):
        for name, (_, action) in actions.items():
            times[name].append(best_of(3, action))
    speeds = {name: moved / 1e9 / min(times[name]) for name, (moved, _) in actions.items()}
    copied = speeds.pop("copy")
    return [
        _measure("memory, by copy_", copied, "GB/s"),
        *(_measure(f"mix, {name}", speed, "GB/s") for name, speed in speeds.items()),
        *(
            _measure(f"ratio: copy_ to mix, {name.split(':')[0]}", ratio(copied, speed), "x", 2.0)
            for name, speed in speeds.items()
            if name.endswith("forward")
        ),
    ]


def mixes(
    states: Float[Tensor, "n layers d"], normalised: bool
) -> tuple[Callable[[], object], Callable[[], object]]:
    """The mix without its layer norm, forward and both ways.

    Args:
        states: of one sequence, as the store gives them.
        normalised: with statistics for each layer and channel.
    """
    n, layers, width = states.shape
    mix = LayerMix(layers, width, norm=False)
    hidden = Ragged(states, torch.tensor([n]))
    statistics = (torch.zeros(layers, width), torch.ones(layers, width)) if normalised else ()
    grad = torch.ones(n, width)
    return (
        lambda: mix(hidden, *statistics),
        lambda: mix(hidden, *statistics).values.backward(grad),
    )


def name_of(dtype: torch.dtype) -> str:
    """As descriptions of stores have it."""
    return str(dtype).removeprefix("torch.")


def _measure(what: str, value: float, unit: str, limit: float | None = None) -> Measurement:
    return Measurement("cached", what, value, unit, limit)
