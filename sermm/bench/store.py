"""What `sermm bench` measures of the feature store and of `sermm extract` as a whole.

`store` writes and reads half a gigabyte beside a bare file, a file for each utterance, and a memory
map; `again` starts an extraction that finds everything stored; `extract-memory` looks whether
memory grows with the corpus. `extraction` is our side of the case `features`.
"""

import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
import torch
from torch import Tensor
from transformers import Wav2Vec2Config, Wav2Vec2FeatureExtractor, Wav2Vec2Model

from sermm.bench.measures import Measurement, scratch
from sermm.bench.timing import best_of, ratio
from sermm.configuration.verbs import ExtractConfig
from sermm.core.digest import digest
from sermm.core.seeding import generator
from sermm.encoders.hf.families.speech_family import SAMPLING_RATE_HZ
from sermm.encoders.precision import Precision
from sermm.engine.extraction.extract import extract, wanted
from sermm.engine.extraction.streams import streams_asked
from sermm.engine.inputs.corpus import load
from sermm.engine.inputs.work import work_of
from sermm.store.features import FeatureStore

_LAYERS, _WIDTH, _FRAMES = 13, 768, 225
_UTTERANCES = 5531
_CLASSES = ("ang", "hap", "neu", "sad")


def store_case() -> list[Measurement]:
    """Half a gigabyte in and out of a store, against bare files and copies.

    All are on the disk when the clock stops; what is read lies in the system's cache.

    Raises:
        RuntimeError: nothing was stored, so the times would mean nothing.
    """
    items = [(digest(n), features()) for n in range(120)]
    size_mb = sum(values.nbytes for _, values in items) / 1e6
    keys = [key for key, _ in items]
    with scratch() as root:
        flat = torch.cat([values for _, values in items])
        numbers = iter(range(1_000_000))
        bare_s, store_s, files_s = [], [], []
        for _ in range(3):
            bare_s.append(best_of(1, lambda: write_bare(root / "bare", flat)))
            store_s.append(best_of(1, lambda: write_store(root / f"s{next(numbers)}", items)))
            files_s.append(best_of(1, lambda: write_files(root / f"f{next(numbers)}", items)))
        store = FeatureStore(root / "s0", _description())
        if len(store) == 0:
            raise RuntimeError("nothing was stored")
        flat.numpy().tofile(root / "flat")
        mapped = np.memmap(root / "flat", np.int16).reshape(len(items), -1)
        copy_s, read_s = [], []
        for _ in range(5):
            copy_s.append(best_of(1, lambda: copy_batches(mapped)))
            read_s.append(best_of(1, lambda: read_batches(store, keys)))
    written, read = size_mb / 1e3 / min(store_s), size_mb / 1e3 / min(read_s)
    return [
        Measurement("store", "writing", written, "GB/s"),
        Measurement(
            "store", "writing: time to one bare file", min(store_s) / min(bare_s), "x", 1.5
        ),
        Measurement("store", "writing: time to a .npy each", min(store_s) / min(files_s), "x"),
        Measurement("store", "reading batches of 32", read, "GB/s"),
        Measurement(
            "store", "reading: time to a bare memory map", min(read_s) / min(copy_s), "x", 1.25
        ),
    ]


def again_case() -> list[Measurement]:
    """`sermm extract` over 5531 utterances that are all stored, process start and all.

    Importing torch is part of it, and is shown beside.
    """
    with scratch() as root:
        save_encoder(root / "encoder", 16, 1, 16)
        clips = [noise(0.1 + 0.0001 * n, n) for n in range(_UTTERANCES)]
        words = command(root, write_corpus(root, clips), root / "encoder")
        run_quietly(words)
        again_s = best_of(3, lambda: run_quietly(words))
        torch_s = best_of(3, lambda: run_quietly([sys.executable, "-c", "import torch"]))
    return [
        Measurement("again", "extract of 5531 stored utterances", again_s, "s", 3.0),
        Measurement("again", "of that, python -c 'import torch'", torch_s, "s"),
    ]


def extract_memory_case() -> list[Measurement]:
    """Peak memory of `sermm extract` over 1x and 10x as many utterances, several shards each."""
    peaks = []
    for count in (100, 1000):
        with scratch() as root:
            save_encoder(root / "encoder", 512, 4, 32)
            clips = [noise(11.0, n) for n in range(10)]
            corpus = write_corpus(root, [clips[n % 10] * (1 + n / 4096) for n in range(count)])
            words = command(root, corpus, root / "encoder")
            script = (
                "import sys; from sermm.cli.main import main; from sermm.core.memory import "
                "peak_bytes; main(sys.argv[1:]); print(peak_bytes())"
            )
            done = run_quietly([sys.executable, "-c", script, *words[3:]])
            peaks.append(int(done.split()[-1]) / 1e6)
    return [
        Measurement("extract-memory", "peak with 18 minutes of speech", peaks[0], "MB"),
        Measurement("extract-memory", "peak with 3 hours of speech", peaks[1], "MB"),
        Measurement("extract-memory", "ratio", ratio(peaks[1], peaks[0]), "x", 1.1),
    ]


def extraction(hf: Any, clips: Sequence[Tensor], root: Path) -> Callable[[Precision], float]:
    """Seconds that `sermm extract` takes for the clips, all layers in float16, files in and out.

    What comes before the first batch (reading the weights) is not counted.

    Args:
        hf: the speech model.
        clips: samples at 16 kHz.
        root: folder for the model, the sound and the stores.

    Returns:
        What takes a precision and extracts everything anew, into a store of its own.
    """
    hf.save_pretrained(root / "encoder")
    Wav2Vec2FeatureExtractor(do_normalize=True).save_pretrained(root / "encoder")
    corpus = write_corpus(root, clips)
    calls = iter(range(1_000_000))

    def ours(precision: Precision) -> float:
        words = command(root, corpus, root / "encoder")[4:]
        more = [f"features.precision={precision}", f"cache_dir={root / f'cache{next(calls)}'}"]
        config = ExtractConfig.of([*words, *more, "encoder.speech.layers=all"])
        loaded = load(config)
        work = work_of(config, loaded, loaded.texts, [])
        (done,) = extract(wanted(streams_asked(config), work), work)
        if done.computed != len(clips):
            raise RuntimeError(f"computed {done.computed} of {len(clips)} clips")
        return done.took_s

    return ours


def features() -> Tensor:
    """One utterance of 4.5 s, all layers of a base model in float16."""
    return torch.rand(_FRAMES, _LAYERS, _WIDTH).half()


def _description() -> dict[str, Any]:
    return {"encoder": "bench", "dtype": "float16"}


def write_bare(path: Path, values: Tensor) -> None:
    """One file, on the disk when this returns: the fastest that the disk can do."""
    with path.open("wb") as file:
        values.numpy().tofile(file)
        file.flush()
        os.fsync(file.fileno())
    path.unlink()


def write_store(root: Path, items: Sequence[tuple[str, Tensor]]) -> None:
    """A store, batch by batch."""
    store = FeatureStore(root, _description())
    with store.writing() as writer:
        for first in range(0, len(items), 8):
            batch = items[first : first + 8]
            writer.claim([key for key, _ in batch])
            writer.add(batch)


def write_files(root: Path, items: Sequence[tuple[str, Tensor]]) -> None:
    """A .npy file for each utterance, on the disk when this returns."""
    root.mkdir()
    for key, values in items:
        with (root / f"{key}.npy").open("wb") as file:
            np.save(file, values.numpy())
            file.flush()
            os.fsync(file.fileno())


def read_batches(store: FeatureStore, keys: Sequence[str]) -> None:
    """All utterances, 32 at a time."""
    for first in range(0, len(keys), 32):
        store.read(keys[first : first + 32])


def copy_batches(mapped: np.ndarray) -> None:
    """The same by hand, out of one flat file: what reading costs without a store."""
    for first in range(0, len(mapped), 32):
        np.array(mapped[first : first + 32])


def save_encoder(folder: Path, width: int, depth: int, conv: int) -> None:
    """A small wav2vec 2.0 with random weights.

    Args:
        folder: where its files go.
        width: of hidden states.
        depth: layers.
        conv: channels of the front end.
    """
    torch.manual_seed(0)
    config = Wav2Vec2Config(
        hidden_size=width,
        intermediate_size=width,
        num_hidden_layers=depth,
        num_attention_heads=4,
        conv_dim=[conv] * 7,
        num_conv_pos_embeddings=16,
        num_conv_pos_embedding_groups=4,
    )
    Wav2Vec2Model(config).save_pretrained(folder)
    Wav2Vec2FeatureExtractor(do_normalize=True).save_pretrained(folder)


def noise(seconds: float, number: int) -> Tensor:
    """A clip, another one for every number."""
    rng = generator(0, "bench store", number)
    return 0.1 * torch.tensor(rng.normal(size=round(seconds * SAMPLING_RATE_HZ))).float()


def write_corpus(root: Path, clips: Sequence[Tensor]) -> Path:
    """Wav files and the table that `data=manifest` reads; four classes, ten talkers.

    Returns:
        The table.
    """
    rows = ["path,label,speaker"]
    (root / "audio").mkdir()
    for n, clip in enumerate(clips):
        path = root / "audio" / f"{n:06d}.wav"
        soundfile.write(path, clip.numpy(), SAMPLING_RATE_HZ)
        rows.append(f"{path},{_CLASSES[n % 4]},t{n // 4 % 10}")
    table = root / "corpus.csv"
    table.write_text("\n".join(rows))
    return table


def command(root: Path, corpus: Path, encoder: Path) -> list[str]:
    """`sermm extract` over the corpus, as words of a fresh process.

    Args:
        root: its `cache` is where the store goes.
        corpus: the table.
        encoder: folder of the model.
    """
    return [
        *(sys.executable, "-m", "sermm.cli.main", "extract", "data=manifest"),
        f"data.manifest={corpus}",
        "protocol=groups5",
        f"encoder.speech.id={encoder}",
        "encoder.speech.layers=all",
        "trainer.accelerator=cpu",
        "trainer.max_seconds=34",
        f"cache_dir={root / 'cache'}",
    ]


def run_quietly(words: Sequence[str]) -> str:
    """What a command prints."""
    return subprocess.run(words, check=True, capture_output=True, text=True).stdout
