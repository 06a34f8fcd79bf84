"""Speed, always as a ratio to something bare that was measured in the same run.

`CASES` is the list of what `sermm bench` knows. The short cases stand here; those with a module of
their own are imported when they run, so that one case does not wait for the imports of the others.
A new case is a function that returns `Measurement`s, and an entry.
"""

import subprocess
import sys
from collections.abc import Callable
from importlib import import_module
from typing import cast

from sermm.bench.measures import Measurement, scratch, write_layout
from sermm.bench.timing import best_of, ratio, run


def help_case() -> list[Measurement]:
    """`sermm --help` in a fresh process, warm: the best of five.

    Guards against an import of torch on the way to the help, which alone takes seconds.
    """
    command = [sys.executable, "-m", "sermm.cli.main", "--help"]
    bare = [sys.executable, "-c", "pass"]
    times = {
        "sermm --help": best_of(5, lambda: run(command)),
        "python -c pass": best_of(5, lambda: run(bare)),
    }
    return [
        Measurement("help", "sermm --help", times["sermm --help"], "s", 0.5),
        Measurement("help", "ratio to python -c pass", ratio(*times.values()), "x"),
    ]


def index_case() -> list[Measurement]:
    """Reading the 10,039-turn layout, against reading the same files' bytes.

    What remains over the bytes is parsing.
    """
    from sermm.corpora.iemocap.reader import Iemocap

    with scratch() as root:
        write_layout(root)
        files = sorted([*root.rglob("EmoEvaluation/*.txt"), *root.rglob("transcriptions/*.txt")])
        bare_s = best_of(3, lambda: [path.read_bytes() for path in files])
        index_s = best_of(3, lambda: Iemocap(root, expected=None).read())
    return [
        Measurement("index", "10,039 turns of IEMOCAP's layout", index_s, "s", 10.0),
        Measurement("index", "ratio to reading the files' bytes", ratio(index_s, bare_s), "x"),
    ]


def epoch_case() -> list[Measurement]:
    """An epoch through Lightning and the data module, against a bare loop over ready batches.

    What serving, Lightning and keeping checkpoints add to the arithmetic of a small system.
    """
    from sermm.bench.epoch import bare_epochs, lightning_epochs, speech_task

    bare, full = [], []
    with scratch() as root:
        # In turns, so that a busy moment of the machine does not fall on one of them alone.
        for turn in range(3):
            bare.append(bare_epochs(speech_task(root / f"bare{turn}"), n=2))
            full.append(lightning_epochs(speech_task(root / f"full{turn}"), n=2))
    bare_s, full_s = min(bare), min(full)
    return [
        Measurement("epoch", "bare loop, batches in memory", bare_s, "s"),
        Measurement("epoch", "Lightning, data module, checkpoint", full_s, "s"),
        Measurement("epoch", "ratio", ratio(full_s, bare_s), "x", 1.15),
    ]


def memory_case() -> list[Measurement]:
    """Peak memory of a process that serves 1x and 10x as many utterances, no audio kept.

    In processes of their own, as a peak is of a process and never falls.
    """
    script = "from sermm.bench.epoch import serve_main; serve_main()"
    peaks = []
    for n in (200, 2000):
        with scratch() as root:
            command = [sys.executable, "-c", script, str(root), str(n)]
            done = subprocess.run(command, check=True, capture_output=True, text=True)
            peaks.append(int(done.stdout.split()[-1]) / 1e6)
    return [
        Measurement("memory", "peak with 200 utterances", peaks[0], "MB"),
        Measurement("memory", "peak with 2000 utterances", peaks[1], "MB"),
        Measurement("memory", "ratio", ratio(peaks[1], peaks[0]), "x", 1.1),
    ]


def features_case() -> list[Measurement]:
    """`sermm extract` of four minutes of speech, files in and out, against bare loops in memory.

    The bare loops neither decode nor write, so the comparison is to our disadvantage. Whisper's
    encoder by its contexts is measured in memory.
    """
    from sermm.bench import whisper
    from sermm.bench.features import matrix_rate, measures, noise, wav2vec2_base
    from sermm.bench.store import extraction

    hf, clips = wav2vec2_base(), noise(54)
    with scratch() as root:
        rows = measures(hf, clips, extraction(hf, clips, root))
    return rows + whisper.measures(whisper.whisper_base(), clips, matrix_rate)


def _later(module: str, name: str) -> Callable[[], list[Measurement]]:
    """A case of another module, which is imported when it is run."""
    return lambda: cast(list[Measurement], getattr(import_module(module), name)())


def transcribing(id: str | None, clips: str | None) -> Callable[[], list[Measurement]]:  # noqa: A002
    """The case `transcribe` with a model and clips of one's own.

    Args:
        id: folder of a Whisper; None: random weights.
        clips: folder of audio files; None: noise.
    """
    from sermm.bench.transcribe import own_case

    return lambda: own_case(id, clips)


CASES: dict[str, Callable[[], list[Measurement]]] = {
    "help": help_case,
    "index": index_case,
    "epoch": epoch_case,
    "memory": memory_case,
    "features": features_case,
    "store": _later("sermm.bench.store", "store_case"),
    "again": _later("sermm.bench.store", "again_case"),
    "cached": _later("sermm.bench.cached", "cached_case"),
    "checked": _later("sermm.bench.checked", "checked_case"),
    "extract-memory": _later("sermm.bench.store", "extract_memory_case"),
    "fusion": _later("sermm.bench.fusion", "fusion_case"),
    "pool": _later("sermm.bench.pool", "pool_case"),
    "start": _later("sermm.bench.start", "start_case"),
    "finetune": _later("sermm.bench.finetune", "finetune_case"),
    "transcribe": _later("sermm.bench.transcribe", "transcribe_case"),
    "study": _later("sermm.bench.study", "study_case"),
}
# What replaces a case with `full=true`: all of it, however long it takes.
FULL = {"fusion": _later("sermm.bench.fusion", "full_case")}
