"""The case `fusion` of `sermm bench`: what a fusion costs, and what of the whole.

Bian 2024 states that a single-layer gate in place of CmGI saves 43 % of the training time and 38 %
of the inference time. Here both are measured on one pair of encoders, HuBERT-large and BERT-base
with random weights, with the class that its public code calls CmGI and two other systems, in three
settings:

    ASR in loop   wav2vec2-large writes the transcript first (greedy)
    ASR cached    the transcript is there
    fusion only   the encoders' last states are there; training hands their gradients back

What the recogniser writes is thrown away: random weights write nonsense. The text has as many
tokens as IEMOCAP's. Training steps are those of the published code: Adam, all in one step.
"""

import math
import platform
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import torch
import torch.nn.functional as F
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from sermm.bench.fusion_rows import (
    ALONE,
    ASR,
    CACHED,
    CMGI,
    GATE,
    LOOP,
    ONLY,
    RELEASED,
    STATED,
    Table,
    latencies,
    measure,
    savings,
    shares,
)
from sermm.bench.measures import Measurement, scratch
from sermm.bench.models import (
    Sizes,
    bert,
    encoder_pair,
    fused,
    hubert,
    save_recogniser,
    utterances,
)
from sermm.bench.timing import Stopwatch, Times
from sermm.core.batch import Batch
from sermm.core.ragged import Ragged
from sermm.encoders.base import Encoder
from sermm.encoders.hf.families.speech_family import SAMPLING_RATE_HZ
from sermm.encoders.precision import device_for, precision_for
from sermm.models.base import System, labels_of
from sermm.recognisers.ctc import CTCModel

_STREAMS = ("model.streams=[text,frame]",)
SYSTEMS: Mapping[str, Sequence[str]] = {
    GATE: (),
    CMGI: ("model.system.asr_loss=null",),
    RELEASED: (),
    "coattention": _STREAMS,
    "late_fusion": _STREAMS,
}
_BUDGET_S = 360.0


@dataclass(frozen=True)
class FusionWorkload:
    """How much is measured.

    Attributes:
        sizes: of the networks.
        seconds: of each utterance.
        batches: utterances of a batch; the first is 1.
        alone: seconds of single utterances whose latency is measured.
        budget_s: what would end later is not measured, but scaled up from batch 1.
    """

    sizes: Sizes = field(default_factory=Sizes)
    seconds: float = 4.5
    batches: tuple[int, ...] = (1, 16)
    alone: tuple[float, ...] = (1.0, 5.0, 15.0)
    budget_s: float = _BUDGET_S


def fusion_case() -> list[Measurement]:
    """All that fits into six minutes on two cores."""
    return fusion(FusionWorkload())


def full_case() -> list[Measurement]:
    """Everything; on two cores it takes half an hour and 20 GB of memory."""
    return fusion(FusionWorkload(budget_s=math.inf))


def fusion(workload: FusionWorkload) -> list[Measurement]:
    """Counts, times, shares, savings and latencies.

    Args:
        workload: how much; `fusion_case` and `full_case` differ in the budget only.
    """
    with scratch() as folder:
        bench = Bench(workload, folder)
        flops, alone, table = bench.flops(), bench.alone(), bench.times()
    return [
        measure(f"device: {bench.name}", float(torch.get_num_threads()), "CPU threads"),
        *bench.parameters(),
        *(measure(f"{name}, one utterance", n / 1e9, "GFLOP") for name, n in flops.items()),
        *(
            measure(f"{system}, {size}: {kind}, {setting}", times.median, times.unit)
            for (kind, size, setting, system), times in table.items()
        ),
        *shares(list(SYSTEMS), flops, table),
        *savings(table),
        *latencies(alone),
    ]


class Bench:
    """The systems over one pair of encoders, and a recogniser.

    All systems share the encoders and one optimiser, whose moments are larger than the encoders.

    Args:
        workload: what is measured.
        folder: for the recogniser's files.

    Attributes:
        given: systems over given features, for the setting "fusion only", by name.
        live: the same systems over the live encoders.
        half: passes run in bfloat16.
    """

    def __init__(self, workload: FusionWorkload, folder: Path) -> None:
        self.workload = workload
        self.device = device_for("auto")
        self.half = precision_for("auto", self.device).startswith("bf16")
        speech, text = hubert(workload.sizes), bert(workload.sizes)
        self._vocab_size = int(text.config.vocab_size)
        self._pair = encoder_pair(speech, text)
        self.given: dict[str, System] = {}
        self.live: dict[str, System] = {}
        for name, words in SYSTEMS.items():
            given, live = fused([f"model={name}", *words], self._pair)
            self.given[name], self.live[name] = given.to(self.device), live.to(self.device)
        save_recogniser(folder, workload.sizes)
        self._recogniser = CTCModel(str(folder)).to(self.device)
        # One for all, as the encoders' moments are larger than the encoders. It passes over what
        # has no gradient: what only another system holds.
        every = [*self.given.values(), *self.live.values()]
        trained = {p for system in every for p in system.parameters() if p.requires_grad}
        self._optimizer = torch.optim.Adam(trained, lr=1e-5)
        self._watch = Stopwatch(self.device, workload.budget_s)

    @property
    def name(self) -> str:
        """The device and the precision."""
        gpu = self.device.type == "cuda"
        device = torch.cuda.get_device_name(self.device) if gpu else f"CPU {platform.machine()}"
        return f"{device}, {'bf16-mixed' if self.half else 'float32'}"

    def parameters(self) -> list[Measurement]:
        """Of the recogniser's companions: each fusion, and the whole system."""
        return [
            measure(f"{name}: parameters of the {part}", _count(system) / 1e6, "M")
            for name in SYSTEMS
            for part, system in (("fusion", self.given[name]), ("whole", self.live[name]))
        ]

    def flops(self) -> dict[str, float]:
        """Of one utterance forward: the recogniser, each fusion, each whole system.

        Returns:
            Floating-point operations by what is passed.
        """
        batch = self.batch(1, self.workload.seconds)
        passes = {ASR: self._transcribe(batch)}
        for name in SYSTEMS:
            passes[f"{name}: fusion"] = _forward(self.given[name], self._features(batch))
            passes[f"{name}: whole"] = _forward(self.live[name], batch)
        return {name: _flops(action) for name, action in passes.items()}

    def times(self) -> Table:
        """Steps and passes; what takes longest comes last.

        So that the budget is spent on what can be measured: fusions alone first, then whole
        systems, and large batches after small ones, of which they can be guessed.
        """
        table: dict[tuple[str, int, str, str], Times] = {}
        for size in self.workload.batches:
            batch = self.batch(size, self.workload.seconds)
            for kind in STATED:
                passes = self._passes(kind, self.given, self._features(batch))
                for name, times in self._watch.measure(passes).items():
                    table[kind, size, ONLY, name] = times
        for size in self.workload.batches:
            for kind in sorted(STATED):
                table |= self._whole(kind, size, table)
        return table

    def _whole(self, kind: str, size: int, so_far: Table) -> Table:
        """Times of the recogniser, and of all systems with and without it before them.

        Args:
            kind: train or infer.
            size: utterances of the batch.
            so_far: what has been measured; larger batches are guessed from batch 1 in it.
        """
        batch = self.batch(size, self.workload.seconds)
        passes = {ASR: self._transcribe(batch), **self._passes(kind, self.live, batch)}
        guesses = None
        if size > 1:
            one = {name: so_far[kind, 1, CACHED, name] for name in SYSTEMS}
            one[ASR] = so_far[kind, 1, ALONE, ASR]
            guesses = {name: size * times.median for name, times in one.items()}
        found = self._watch.measure(passes, guesses)
        asr = found.pop(ASR)
        cached = {(kind, size, CACHED, name): times for name, times in found.items()}
        loop = {(kind, size, LOOP, name): times.after(asr) for name, times in found.items()}
        return {(kind, size, ALONE, ASR): asr, **cached, **loop}

    def alone(self) -> dict[float, tuple[Times, Times]]:
        """By the seconds of an utterance: the recogniser, and the gate behind it."""
        found = {}
        for seconds in self.workload.alone:
            batch = self.batch(1, seconds)
            passes = {ASR: self._transcribe(batch), GATE: self._infer(self.live[GATE], batch)}
            times = self._watch.measure(passes)
            found[seconds] = times[ASR], times[GATE]
        return found

    def batch(self, n: int, seconds: float) -> Batch:
        """Noise, on the device."""
        torch.manual_seed(0)
        clips = [0.1 * torch.randn(round(SAMPLING_RATE_HZ * seconds)) for _ in range(n)]
        return utterances(clips, self._vocab_size).to(self.device)

    def _features(self, batch: Batch) -> Batch:
        """The last states of both encoders, random, for all systems.

        Each system reads its streams by their paths (`speech`, `streams.frame`), so the same states
        are there under the paths of all of them.
        """
        states = {kind: _states(encoder, batch) for kind, encoder in self._pair.items()}
        cached = {
            path: states[encoder.modality]
            for system in self.given.values()
            for path, encoder in system.encoders.items()
        }
        return replace(batch, cached=cached)

    def _passes(
        self, kind: str, systems: Mapping[str, System], batch: Batch
    ) -> dict[str, Callable[[], object]]:
        make = self._train if kind == "train" else self._infer
        return {name: make(system, batch) for name, system in systems.items()}

    def _train(self, system: System, batch: Batch) -> Callable[[], object]:
        """A training step; given features get their gradients too, as encoders would want them."""
        for states in batch.cached.values():
            states.values.requires_grad_()

        def step() -> None:
            system.train()
            self._optimizer.zero_grad()
            with torch.autocast(self.device.type, torch.bfloat16, enabled=self.half):
                logits = system(batch).logits
            torch.autograd.backward(F.cross_entropy(logits.float(), labels_of(batch)))
            self._optimizer.step()

        return step

    def _infer(self, system: System, batch: Batch) -> Callable[[], object]:
        forward = _forward(system, batch)

        def infer() -> None:
            with torch.autocast(self.device.type, torch.bfloat16, enabled=self.half):
                forward()

        return infer

    def _transcribe(self, batch: Batch) -> Callable[[], object]:
        waveform = batch.waveform
        if waveform is None:
            raise ValueError("a recogniser needs waveforms")
        return lambda: self._recogniser.transcribe(waveform)


def _count(system: System) -> int:
    return sum(parameter.numel() for parameter in system.parameters())


def _forward(system: System, batch: Batch) -> Callable[[], object]:
    @torch.no_grad()
    def forward() -> None:
        system.eval()(batch)

    return forward


def _flops(action: Callable[[], object]) -> float:
    # Of the kernels of attention only the plain one is counted on every device.
    with sdpa_kernel(SDPBackend.MATH), FlopCounterMode(display=False) as counter:
        action()
    return float(counter.get_total_flops())


def _states(encoder: Encoder, batch: Batch) -> Ragged:
    source = batch.waveform if "waveform" in encoder.needs else batch.tokens
    if source is None:
        raise ValueError("an encoder needs waveforms or tokens")
    sizes = [encoder.positions(size) for size in source.sizes]
    shape = (sum(sizes), encoder.n_layers, encoder.width)
    return Ragged(torch.randn(shape, device=source.values.device), torch.tensor(sizes))
