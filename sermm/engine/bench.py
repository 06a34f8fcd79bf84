"""Speed, always as a ratio to something bare that was measured in the same run."""

import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import cast

from sermm.core.seeding import generator


@dataclass(frozen=True)
class Measure:
    """One line of the table.

    Attributes:
        case: of `sermm bench`.
        what: was measured.
        value: with its unit.
        unit: s, MB, x ...
        limit: what it should stay under; None = for information.
    """

    case: str
    what: str
    value: float
    unit: str
    limit: float | None = None


@contextmanager
def scratch() -> Iterator[Path]:
    """A folder that is gone afterwards."""
    with tempfile.TemporaryDirectory(prefix="sermm-bench-") as folder:
        yield Path(folder)


def help_case() -> list[Measure]:
    """`sermm --help` in a fresh process, warm: the best of five."""
    command = [sys.executable, "-m", "sermm.cli.main", "--help"]
    bare = [sys.executable, "-c", "pass"]
    times = {
        "sermm --help": best_of(5, lambda: run(command)),
        "python -c pass": best_of(5, lambda: run(bare)),
    }
    return [
        Measure("help", "sermm --help", times["sermm --help"], "s", 0.5),
        Measure("help", "ratio to python -c pass", ratio(*times.values()), "x"),
    ]


def index_case() -> list[Measure]:
    """Reading the 10,039-turn layout, against reading the same files' bytes."""
    from sermm.corpora.iemocap import Iemocap

    with scratch() as root:
        write_layout(root)
        files = sorted([*root.rglob("EmoEvaluation/*.txt"), *root.rglob("transcriptions/*.txt")])
        bare_s = best_of(3, lambda: [path.read_bytes() for path in files])
        index_s = best_of(3, lambda: Iemocap(root, expected=None).read())
    return [
        Measure("index", "10,039 turns of IEMOCAP's layout", index_s, "s", 10.0),
        Measure("index", "ratio to reading the files' bytes", ratio(index_s, bare_s), "x"),
    ]


def epoch_case() -> list[Measure]:
    """An epoch through Lightning and the data module, against a bare loop over ready batches."""
    from sermm.engine.bench_epoch import bare_epochs, lightning_epochs, speech_task

    bare, full = [], []
    with scratch() as root:
        # In turns, so that a busy moment of the machine does not fall on one of them alone.
        for turn in range(3):
            bare.append(bare_epochs(speech_task(root / f"bare{turn}"), n=2))
            full.append(lightning_epochs(speech_task(root / f"full{turn}"), n=2))
    bare_s, full_s = min(bare), min(full)
    return [
        Measure("epoch", "bare loop, batches in memory", bare_s, "s"),
        Measure("epoch", "Lightning, data module, checkpoint", full_s, "s"),
        Measure("epoch", "ratio", ratio(full_s, bare_s), "x", 1.15),
    ]


def memory_case() -> list[Measure]:
    """Peak memory of a process that serves 1x and 10x as many utterances, no audio kept."""
    script = "from sermm.engine.bench_epoch import serve_main; serve_main()"
    peaks = []
    for n in (200, 2000):
        with scratch() as root:
            command = [sys.executable, "-c", script, str(root), str(n)]
            done = subprocess.run(command, check=True, capture_output=True, text=True)
            peaks.append(float(done.stdout.split()[-1]))
    return [
        Measure("memory", "peak with 200 utterances", peaks[0], "MB"),
        Measure("memory", "peak with 2000 utterances", peaks[1], "MB"),
        Measure("memory", "ratio", ratio(peaks[1], peaks[0]), "x", 1.1),
    ]


def features_case() -> list[Measure]:
    """`sermm extract` of four minutes of speech, files in and out, against bare loops in memory."""
    from sermm.engine.bench_features import measures, noise, wav2vec2_base
    from sermm.engine.bench_store import extraction

    hf, clips = wav2vec2_base(), noise(54)
    with scratch() as root:
        return measures(hf, clips, extraction(hf, clips, root))


def _later(module: str, name: str) -> Callable[[], list[Measure]]:
    """A case of another module, which is imported when it is run."""
    return lambda: cast(list[Measure], getattr(import_module(module), name)())


CASES: dict[str, Callable[[], list[Measure]]] = {
    "help": help_case,
    "index": index_case,
    "epoch": epoch_case,
    "memory": memory_case,
    "features": features_case,
    "store": _later("sermm.engine.bench_store", "store_case"),
    "again": _later("sermm.engine.bench_store", "again_case"),
    "cached": _later("sermm.engine.bench_cached", "cached_case"),
    "extract-memory": _later("sermm.engine.bench_store", "extract_memory_case"),
    "fusion": _later("sermm.engine.bench_fusion", "fusion_case"),
    "pool": _later("sermm.engine.bench_pool", "pool_case"),
    "finetune": _later("sermm.engine.bench_finetune", "finetune_case"),
    "study": _later("sermm.engine.bench_study", "study_case"),
}
# What replaces a case with `full=true`: all of it, however long it takes.
FULL = {"fusion": _later("sermm.engine.bench_fusion", "full_case")}


def best_of(n: int, action: Callable[[], object]) -> float:
    """The shortest of n times, in seconds."""
    times = []
    for _ in range(n):
        start_s = time.perf_counter()
        action()
        times.append(time.perf_counter() - start_s)
    return min(times)


def ratio(first: float, second: float) -> float:
    """How many times longer the first took."""
    return first / second


def run(command: list[str]) -> None:
    """Runs a command silently."""
    subprocess.run(command, check=True, capture_output=True)


def peak_mb() -> float:
    """Peak resident memory of this process, 10^6 bytes.

    Linux only: `getrusage` would give the peak of the process that started this one, if larger.
    """
    status = Path("/proc/self/status").read_text()
    (line,) = (line for line in status.splitlines() if line.startswith("VmHWM:"))
    return int(line.split()[1]) * 1024 / 1e6


def write_layout(root: Path, dialogues: int = 151, turns: int = 10039) -> None:
    """A tree of IEMOCAP's layout and size with made-up text and empty wavs."""
    from sermm.core.records import Attributes, Vote
    from sermm.corpora import iemocap_layout as layout

    rng = generator(0, "layout")
    for number in range(dialogues):
        session, index = 1 + number % 5, number // 5
        name = f"Ses0{session}{'FM'[index % 2]}_impro{index:02d}"
        count = turns // dialogues + (number < turns % dialogues)
        ids = [f"{name}_{'FM'[n % 2]}{n:03d}" for n in range(count)]
        labels = rng.choice(["ang", "hap", "sad", "neu", "xxx"], count)
        votes = (Vote("C-E1", ("Anger",)),) * 3
        said = [
            layout.Turn(i, 5.0 * n, 5.0 * n + 4, str(labels[n]), Attributes(3.0, 3.0, 3.0), votes)
            for n, i in enumerate(ids)
        ]
        write(layout.evaluation_path(root, name), layout.evaluation_text(said))
        lines = [
            layout.transcription_line(t.id, t.start_s, t.end_s, "made up words to read")
            for t in said
        ]
        write(layout.transcription_path(root, name), "\n".join(lines))
        for i in ids:
            write(layout.sentence_path(root, i), "")


def write(path: Path, text: str) -> None:
    """Writes a scratch file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
