"""Labels audio files that belong to no corpus.

What `sermm predict` does: no protocol, no fold, no units by an aligner. A file becomes a batch of
one utterance as `sermm.data.dataset` would make it, and goes through the restored system with its
live encoders, whatever the run was trained on.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from sermm.core.batch import Batch
from sermm.core.errors import InputError
from sermm.core.ragged import Ragged
from sermm.core.records import LEVELS
from sermm.core.transcripts import spoken
from sermm.data.audio import load
from sermm.encoders.precision import device_for
from sermm.engine.assembly.inference import predict
from sermm.engine.assembly.normalisation import observe
from sermm.engine.assembly.restore import Restored
from sermm.engine.inputs.batches import as_ids, unit_times
from sermm.runs.predictions import Prediction


@dataclass(frozen=True)
class Labelled:
    """What a run says of a file.

    Attributes:
        path: the file.
        label: the likeliest class.
        probabilities: by class; they sum to 1.
    """

    path: Path
    label: str
    probabilities: dict[str, float]


def label_files(restored: Restored, paths: Sequence[Path], text: str | None) -> list[Labelled]:
    """Labels files one by one, in order.

    Args:
        restored: the run.
        paths: audio files of any sampling rate and channel count; what is longer than the run's
            `trainer.max_seconds` is cut there, as in training.
        text: what is said in the file (then there is only one), for systems that read text; they
            see an empty transcript without it.

    Raises:
        InputError: a file cannot be read, or one text is given for several files.
    """
    if text is not None and len(paths) != 1:
        raise InputError(
            f"text= belongs to one file, got {len(paths)} files; label them one by one"
        )
    options = restored.config.trainer
    device = device_for(options.accelerator)

    # Made twice where talkers are observed: an iterator can be run through only once.
    def batches() -> Iterator[Batch]:
        return (batch_of(restored, path, text, options.max_seconds) for path in paths)

    # All files of one call are taken for one talker's.
    observe(restored.system, "talker", batches(), device)
    found = predict(restored.system, batches(), device, options.precision)
    classes = restored.result.classes
    return [labelled(path, p, classes) for path, p in zip(paths, found, strict=True)]


def labelled(path: Path, prediction: Prediction, classes: Sequence[str]) -> Labelled:
    """A prediction in the terms of the user: a file and names of classes.

    Args:
        path: the file.
        prediction: of it.
        classes: of the run, in the order of the probabilities.
    """
    probabilities = prediction.probabilities
    label = classes[int(probabilities.argmax())]
    return Labelled(path, label, {c: float(x) for c, x in zip(classes, probabilities, strict=True)})


def batch_of(restored: Restored, path: Path, text: str | None, max_seconds: float) -> Batch:
    """A batch of one file, with what the system reads.

    Also what `sermm explain` shows of a file.

    Args:
        restored: the run.
        path: the file; its name is the id of the utterance.
        text: what is said in it; None is read as an empty transcript.
        max_seconds: where it is cut, in seconds.

    Raises:
        InputError: the file cannot be read.
    """
    system = restored.system
    tokens = None
    if system.text_encoder is not None:
        tokens = Ragged.pack([as_ids(system.text_encoder.tokenize([spoken(text)])[0])])
    waveform = None
    if "waveform" in system.needs:
        waveform = Ragged.pack([load(path, None, None, max_seconds)])
    # Nobody has aligned the file: its one unit is the whole of it.
    spans = {level: {"": ()} for level in LEVELS if level in system.needs}
    # One unit as long as a file can be; `Segments` ends it with the last frame that there is.
    times = unit_times(spans, [""], {"": max_seconds}, max_seconds)
    units = {level: Ragged.pack([known[""]]) for level, known in times.items()}
    return Batch(
        (str(path),), waveform=waveform, tokens=tokens, units=units, speakers=("the file's",)
    )
