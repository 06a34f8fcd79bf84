"""Labels audio files that belong to no corpus.

What `sermm predict` does: no protocol, no fold, no units by an aligner. A file becomes a batch of
one utterance as `sermm.data.dataset` would make it, and goes through the restored system with its
live encoders, whatever the run was trained on. A file that cannot be read is left out and named;
the others are answered.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from sermm.core.batch import Batch
from sermm.core.errors import InputError
from sermm.core.figures import fixed
from sermm.core.progress import Progress
from sermm.core.ragged import Ragged
from sermm.core.records import LEVELS
from sermm.core.transcripts import spoken
from sermm.data.audio import AudioError, Heard, hear
from sermm.encoders.precision import device_for
from sermm.engine.assembly.inference import predict
from sermm.engine.assembly.normalisation import observe
from sermm.engine.assembly.restore import Restored
from sermm.engine.inputs.batches import as_ids, unit_times


@dataclass(frozen=True)
class Labelled:
    """What a run says of a file.

    Attributes:
        path: the file.
        label: the likeliest class; None: the file cannot be used.
        probabilities: by class; they sum to 1.
        seconds: length of the file.
        used_seconds: how much of it, from its start, was heard.
        remarks: what to know of this answer, such as that the file was cut.
        error: why there is no label.
    """

    path: Path
    label: str | None = None
    probabilities: dict[str, float] | None = None
    seconds: float | None = None
    used_seconds: float | None = None
    remarks: tuple[str, ...] = ()
    error: str | None = None


def label_files(restored: Restored, paths: Sequence[Path], text: str | None) -> list[Labelled]:
    """Labels files one by one, in order; no two are in memory at once.

    Args:
        restored: the run.
        paths: audio files of any sampling rate and channel count; what is longer than the run's
            `trainer.max_seconds` is cut there, as in training.
        text: what is said in the file (then there is only one), for systems that read text; they
            see an empty transcript without it.

    Returns:
        An answer for each file, in order; those that cannot be used have an `error`.

    Raises:
        InputError: one text is given for several files.
    """
    if text is not None and len(paths) != 1:
        raise InputError(
            f"text= belongs to one file, got {len(paths)} files; label them one by one"
        )
    options = restored.config.trainer
    device = device_for(options.accelerator)
    # By their number: a file may be given twice.
    said: dict[int, Labelled] = {}

    # Made twice where talkers are observed: an iterator can be run through only once.
    def batches(title: str) -> Iterator[Batch]:
        with Progress(title, len(paths), "file") as progress:
            for number, path in enumerate(paths):
                try:
                    heard = hear(path, options.max_seconds)
                except AudioError as error:
                    said[number] = Labelled(path, error=str(error))
                else:
                    said[number] = _about(restored, path, text, heard)
                    yield batch_of(restored, path, text, heard)
                progress.advance()

    # All files of one call are taken for one talker's.
    observe(restored.system, "talker", batches("Listening"), device)
    found = iter(predict(restored.system, batches("Labelling"), device, options.precision))
    classes = restored.result.classes
    for number, one in said.items():
        if one.error is None:
            shares = dict(zip(classes, map(float, next(found).probabilities), strict=True))
            label = max(shares, key=lambda name: shares[name])
            said[number] = replace(one, label=label, probabilities=shares)
    return list(said.values())


def remarks_on(path: Path, heard: Heard) -> tuple[str, ...]:
    """What somebody must know who relies on what is said of a file."""
    flaws = tuple(flaw.what for flaw in heard.flaws)
    if heard.used_seconds == heard.seconds:
        return flaws
    cut = cut_text(heard.seconds, heard.used_seconds)
    return (f"{path}: {cut} (the run's trainer.max_seconds); cut it into parts", *flaws)


def remarks_on_text(restored: Restored, name: str, text: str | None) -> tuple[str, ...]:
    """The same of what is said in it; nothing where no text is read."""
    encoder = restored.system.text_encoder
    if encoder is None or not any(encoder.cut([spoken(text)])):
        return ()
    return (f"{name}: only the start of its text is read (the run's encoder.text.max_tokens)",)


def cut_text(seconds: float, used_seconds: float) -> str:
    """Says how much of a recording is heard."""
    return f"{fixed(seconds, 2)} s long, only its first {fixed(used_seconds, 2)} s are heard"


def _about(restored: Restored, path: Path, text: str | None, heard: Heard) -> Labelled:
    remarks = remarks_on(path, heard) + remarks_on_text(restored, str(path), text)
    return Labelled(path, None, None, heard.seconds, heard.used_seconds, remarks)


def batch_of(restored: Restored, path: Path, text: str | None, heard: Heard) -> Batch:
    """A batch of one file, with what the system reads.

    Also what `sermm explain` shows of a file.

    Args:
        restored: the run.
        path: the file; its name is the id of the utterance.
        text: what is said in it; None is read as an empty transcript.
        heard: what is heard of it.
    """
    system = restored.system
    tokens = None
    if system.text_encoder is not None:
        tokens = Ragged.pack([as_ids(system.text_encoder.tokenize([spoken(text)])[0])])
    waveform = None
    if "waveform" in system.needs:
        waveform = Ragged.pack([heard.waveform])
    # Nobody has aligned the file: its one unit is the whole of it.
    spans = {level: {"": ()} for level in LEVELS if level in system.needs}
    # One unit that ends after the file; `Segments` ends it with the last frame that there is.
    beyond_s = heard.used_seconds + 1.0
    times = unit_times(spans, [""], {"": beyond_s}, beyond_s)
    units = {level: Ragged.pack([known[""]]) for level, known in times.items()}
    return Batch(
        (str(path),), waveform=waveform, tokens=tokens, units=units, speakers=("the file's",)
    )
