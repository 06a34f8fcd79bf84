"""What is explained: an utterance of the run's own corpus, or a file of one's own.

Both become a `Subject`: a batch of one, made by the same code as in training and prediction, with
the sound and the words that a person can check it against. An utterance of the corpus has
its text, units and normalisation as the run had them, so its fold is made ready as for the run.
"""

import re
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path

from jaxtyping import Float
from torch import Tensor

from sermm.configuration.verbs import RunConfig
from sermm.core.batch import Batch
from sermm.core.digest import digest, digest_file
from sermm.core.errors import InputError
from sermm.core.records import Fold
from sermm.core.transcripts import composed, spoken
from sermm.data.audio import hear
from sermm.data.audio import load as decode
from sermm.encoders.precision import device_for
from sermm.engine.assembly.normalisation import observe
from sermm.engine.assembly.restore import Restored
from sermm.engine.fold_data import restored_fold
from sermm.engine.inputs.corpus import Loaded
from sermm.engine.placing import corpus_and_fold
from sermm.engine.predict import batch_of, cut_text, remarks_on, remarks_on_text


@dataclass(frozen=True, eq=False)
class Subject:
    """One utterance, ready for the system.

    Attributes:
        name: its id, or the file's name.
        folder: a name for the folder of its explanation.
        batch: a batch of it alone.
        waveform: what is heard of it, 16 kHz.
        text: what a text encoder reads of it.
        seconds: length of all of it, heard or not.
        label: its class; None for a file.
        part: of the run's fold that it is in (train, val, test); None for a file.
        remarks: what to know of it, such as that it was cut.
    """

    name: str
    folder: str
    batch: Batch
    waveform: Float[Tensor, " t"]
    text: str
    seconds: float
    label: str | None = None
    part: str | None = None
    remarks: tuple[str, ...] = ()


def of_file(restored: Restored, path: Path, text: str | None) -> Subject:
    """A file of one's own; without text a system that reads text sees an empty transcript.

    Statistics that a system gathers by talker are taken from this file alone.

    Args:
        restored: the run.
        path: of the audio.
        text: what is said in it.

    Raises:
        InputError: the file cannot be read.
    """
    options = restored.config.trainer
    heard = hear(path, options.max_seconds)
    batch = batch_of(restored, path, text, heard)
    observe(restored.system, "talker", [batch], device_for(options.accelerator))
    return Subject(
        name=path.name,
        folder=f"{_as_folder(path.stem)}-{digest([digest_file(path), text])[:8]}",
        batch=batch,
        waveform=heard.waveform,
        text=spoken(text),
        seconds=heard.seconds,
        remarks=remarks_on(path, heard) + remarks_on_text(restored, path.name, text),
    )


def of_corpus(restored: Restored, utterance_id: str) -> Subject:
    """An utterance of the fold that the run was trained, validated or tested on.

    Only this utterance is decoded, in this process: starting workers for it would take longer.

    Args:
        restored: the run.
        utterance_id: as the corpus has it.

    Raises:
        InputError: it is not in the fold: says whether the corpus has it, and what comes close.
    """
    config = restored.config.changed({"trainer.num_workers": 0})
    loaded, fold = corpus_and_fold(config)
    if part_of(fold, utterance_id) is None:
        utterance_id = composed(utterance_id)
    part = part_of(fold, utterance_id)
    if part is None:
        raise _absent(config, loaded, fold, utterance_id)
    if part == "test":
        restored.result.refuse_withheld(f"utterance={utterance_id} is of the test part")
    ready = restored_fold(restored, config, loaded, fold, [utterance_id])
    batch: Batch = next(iter(ready.data.loader((utterance_id,))))
    utterance = ready.work.utterances[utterance_id]
    cut_s, most_s = config.trainer.max_seconds, ready.work.most_s
    return Subject(
        name=utterance_id,
        folder=_as_folder(utterance_id),
        batch=batch,
        waveform=decode(utterance.path, utterance.start_s, utterance.end_s, cut_s),
        text=loaded.texts[utterance_id],
        seconds=loaded.durations[utterance_id],
        label=loaded.targets[utterance_id],
        part=part,
        remarks=_remarks(loaded, utterance_id, most_s)
        + remarks_on_text(restored, utterance_id, loaded.texts[utterance_id]),
    )


def _remarks(loaded: Loaded, utterance_id: str, most_s: float) -> tuple[str, ...]:
    seconds = loaded.durations[utterance_id]
    found = tuple(p.what for p in loaded.reading.problems if p.where == utterance_id)
    if seconds <= most_s:
        return found
    return (f"{utterance_id}: {cut_text(seconds, most_s)}, as in training", *found)


def part_of(fold: Fold, utterance_id: str) -> str | None:
    """The part of the fold that holds the utterance; None: it holds it nowhere.

    A run was trained on one part and chosen on another: what it looks at there says less.
    """
    parts = {"train": fold.train, "val": fold.val, "test": fold.test}
    return next((name for name, ids in parts.items() if utterance_id in ids), None)


def _absent(config: RunConfig, loaded: Loaded, fold: Fold, utterance_id: str) -> InputError:
    """The error for an utterance that the fold has not: is it in the corpus, what is close."""
    corpus, where = config.data.name, f"{loaded.protocol.name} fold {fold.number}"
    if bad := [p for p in loaded.reading.problems if p.where == utterance_id and not p.kept]:
        return InputError(
            f"utterance={utterance_id}: {corpus} has it, but it is not used: {bad[0].what}"
        )
    labels = {u.id: u.label for u in config.data.make().read().utterances}
    if utterance_id in labels:
        return InputError(
            f"utterance={utterance_id} (label {labels[utterance_id]}) is in {corpus}, but in no "
            f"part of {where}, which this run worked on; explain its file instead: "
            'sermm explain RUN FILE.wav text="..."'
        )
    close = get_close_matches(utterance_id, labels, n=3, cutoff=0.5)
    hint = f"close to it: {', '.join(close)}" if close else f"its ids look like {fold.test[0]}"
    return InputError(
        f"utterance={utterance_id} is not in {corpus} ({len(labels)} utterances); {hint}. "
        f"`sermm data ... ids=true` lists all of them"
    )


def _as_folder(name: str) -> str:
    """The name as one folder's: itself, or with a digest if it has characters that are not kept.

    Two names that become the same by this must not share a folder.
    """
    kept = re.sub(r"[^\w.=-]+", "-", name)[:80].lstrip(".")
    return kept if kept == name else f"{kept}-{digest(name)[:8]}"
