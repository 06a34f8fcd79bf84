"""The case `transcribe` of `sermm bench`: Whisper, against the pipeline of `transformers`.

The pipeline hears one clip at a time. As everybody calls it, it searches with five beams; told to
be greedy, it decodes as ours does, and the texts can be compared. Loading is not measured.
"""

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from transformers import (
    GenerationConfig,
    WhisperConfig,
    WhisperFeatureExtractor,
    WhisperForConditionalGeneration,
    pipeline,
)

from sermm.bench.features import noise
from sermm.bench.measures import Measurement, scratch
from sermm.bench.timing import Stopwatch, ratio
from sermm.core.errors import InputError
from sermm.core.ragged import Ragged
from sermm.data.audio import load
from sermm.encoders.hf.families.speech_family import SAMPLING_RATE_HZ
from sermm.encoders.hf.loading import quiet
from sermm.recognisers.whisper import WhisperModel

_CLIPS = 16
# As `recogniser.batch_seconds` has it: windows at once.
_BATCH = 8
_TURNS = 2
# A random Whisper does not end by itself, and the pipeline has a limit of its own.
_MOST_TOKENS = 100
_AUDIO = (".wav", ".flac")
_LETTERS = [*"abcdefghijklmnopqrstuvwxyz", "Ġ"]
_SPECIAL = ("<|endoftext|>", "<|startoftranscript|>", "<|notimestamps|>")


def transcribe_case() -> list[Measurement]:
    """A Whisper of four narrow layers with random weights, English only, over noise."""
    return own_case(None, None)


def own_case(id: str | None, clips: str | None) -> list[Measurement]:  # noqa: A002
    """A minute or two with Whisper base on two cores.

    Args:
        id: folder of a Whisper; None: a small random one.
        clips: folder below which audio files lie, 16 of which are heard, spread evenly in the order
            of their names; None: noise with lengths as IEMOCAP's.

    Raises:
        InputError: there is no such folder, or no audio in it.
    """
    heard = [clip for clip in noise(_CLIPS) if len(clip) <= 30 * SAMPLING_RATE_HZ]
    if clips is not None:
        heard = _files(Path(clips))
    if id is not None:
        return measures(Path(id), heard)
    with scratch() as folder:
        save_random(folder)
        return measures(folder, heard)


def measures(folder: Path, clips: Sequence[Tensor]) -> list[Measurement]:
    """Real-time factors of both, their ratios, and how many texts are the same.

    Args:
        folder: of the Whisper; one that knows several languages is told, here and there, the one
            that it detects in most clips: without being told, the pipeline writes other texts.
        clips: samples at 16 kHz, none beyond 30 s.
    """
    multilingual = GenerationConfig.from_pretrained(folder).to_dict().get("is_multilingual", False)
    language = _detected(folder, clips) if multilingual else "en"
    told = {"language": language, "task": "transcribe"} if multilingual else {}
    ours = {
        name: _ours(
            WhisperModel(str(folder), language=language, max_tokens=_MOST_TOKENS, precision=name),
            clips,
        )
        for name in ("32-true", "bf16-encoder")
    }
    passes: dict[str, Callable[[], list[str]]] = {
        "pipeline, as it comes (5 beams)": _theirs(folder, clips, told),
        "pipeline, greedy": _theirs(folder, clips, {"num_beams": 1, **told}),
        **{f"ours, {name}": made for name, made in ours.items()},
    }
    texts: dict[str, list[str]] = {}
    took: dict[str, float] = {}
    watch = Stopwatch(torch.device("cpu"), float("inf"))
    # In turns, so that a busy moment of the machine does not fall on one of them alone.
    for _ in range(_TURNS):
        for name, one in passes.items():
            took_s = watch.once(lambda name=name, one=one: texts.update({name: one()}))  # type: ignore[misc]
            took[name] = min(took_s, took.get(name, took_s))
    seconds = sum(map(len, clips)) / SAMPLING_RATE_HZ
    rows = [_measure(f"{name}: real-time factor", seconds / s, "x") for name, s in took.items()]
    first, greedy = list(passes)[:2]
    for name in ours:
        mine = f"ours, {name}"
        rows.append(_measure(f"{name}: speed to the pipeline's", ratio(took[first], took[mine])))
        rows.append(_measure(f"{name}: to the greedy one's", ratio(took[greedy], took[mine])))
        same = sum(a == b for a, b in zip(texts[mine], texts[greedy], strict=True))
        rows.append(_measure(f"{name}: texts as the greedy one's", float(same), f"of {len(clips)}"))
    return rows


def _detected(folder: Path, clips: Sequence[Tensor]) -> str:
    """The language of most clips."""
    model = WhisperModel(str(folder), language=None, max_tokens=1)
    _ours(model, clips)()
    return model.detected.most_common(1)[0][0]


def _ours(model: WhisperModel, clips: Sequence[Tensor]) -> Callable[[], list[str]]:
    model.load()

    def one() -> list[str]:
        batches = [clips[i : i + _BATCH] for i in range(0, len(clips), _BATCH)]
        return [t for some in batches for t in model.transcribe(Ragged.pack(list(some)))]

    return one


def _theirs(
    folder: Path, clips: Sequence[Tensor], options: dict[str, Any]
) -> Callable[[], list[str]]:
    options = {"max_new_tokens": _MOST_TOKENS, **options}
    with quiet():
        # float32 said aloud: the default is whatever the checkpoint was saved in.
        heard = pipeline(
            "automatic-speech-recognition", model=str(folder), device="cpu", dtype=torch.float32
        )

    def one() -> list[str]:
        with quiet():
            said = [heard(clip.numpy(), generate_kwargs=dict(options))["text"] for clip in clips]
        return [" ".join(text.split()) for text in said]

    return one


def _files(folder: Path) -> list[Tensor]:
    """Clips of at most 30 s, spread over all that lie there."""
    found = sorted(path for path in folder.rglob("*") if path.suffix.lower() in _AUDIO)
    if not found:
        raise InputError(f"clips={folder}: no audio there ({', '.join(_AUDIO)}); give a folder")
    step = max(1, len(found) // _CLIPS)
    return [load(path, None, None, 30.0) for path in found[::step][:_CLIPS]]


def save_random(folder: Path) -> None:
    """Writes a small random Whisper that writes letters, windows of 30 s, as save_pretrained."""
    words = {token: n for n, token in enumerate([*_LETTERS, *_SPECIAL])}
    end, start, plain = (words[token] for token in _SPECIAL)
    flags = dict.fromkeys(("lstrip", "rstrip", "normalized", "single_word"), False)
    added = {str(words[t]): {"content": t, "special": True, **flags} for t in _SPECIAL}
    options = {"added_tokens_decoder": added, "tokenizer_class": "WhisperTokenizer"}
    for name, content in (("vocab", words), ("tokenizer_config", options)):
        (folder / f"{name}.json").write_text(json.dumps(content), encoding="utf-8")
    (folder / "merges.txt").write_text("#version: 0.2\n", encoding="utf-8")
    WhisperFeatureExtractor().save_pretrained(folder)
    ends = {"pad_token_id": end, "bos_token_id": end, "eos_token_id": end}
    starts = {**ends, "decoder_start_token_id": start}
    torch.manual_seed(0)
    sizes = {"d_model": 64, "encoder_ffn_dim": 256, "decoder_ffn_dim": 256}
    heads = {"encoder_attention_heads": 4, "decoder_attention_heads": 4}
    config = WhisperConfig(vocab_size=len(words), **sizes, **heads, **starts)
    model = WhisperForConditionalGeneration(config)
    with torch.no_grad():
        for value in model.parameters():
            # Wide weights: else it repeats one letter, whatever it hears.
            value.mul_(8.0 if value.ndim > 1 else 1.0)
    model.generation_config = GenerationConfig(
        **starts,
        max_length=24,
        is_multilingual=False,
        no_timestamps_token_id=plain,
        return_timestamps=False,
        suppress_tokens=[start, plain],
        begin_suppress_tokens=[end],
    )
    with quiet():
        model.save_pretrained(folder)


def _measure(what: str, value: float, unit: str = "x") -> Measurement:
    return Measurement("transcribe", what, value, unit)
