"""The batches of a fold as a system reads them, for a run in training and for one restored.

Between the corpus (`inputs`) and the system (`assembly`): `data_module` joins both to the
DataModule that everything is fed from, and `observe_fold` lets a system take the statistics that
its features are normalised by. Training (`training.task`), `sermm evaluate` and `sermm explain`
all come through here, so that an utterance is read in one way whoever asks for it.
"""

import dataclasses
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from sermm.configuration.verbs import RunConfig, levels_of
from sermm.core.records import Fold
from sermm.data.augment.augment import Augment
from sermm.data.augment.synonyms import Reworded, Synonyms
from sermm.data.datamodule import EmotionDataModule, Loading
from sermm.data.dataset import StoredStream
from sermm.engine.assembly.normalisation import observe, observers
from sermm.engine.assembly.restore import Restored
from sermm.engine.inputs.batches import inputs_of
from sermm.engine.inputs.corpus import Loaded
from sermm.engine.inputs.work import Work, work_of
from sermm.models.base import CountingSystem, System


@dataclass(frozen=True)
class RestoredFold:
    """What a restored run is asked about: a corpus, a fold of it, and its batches.

    Attributes:
        config: of the run, on this corpus and fold.
        loaded: the corpus.
        fold: whole, as the protocol makes it.
        work: the utterances that are asked about, and those that their talkers are known by.
        data: batches of these, by `data.loader(ids)`.
    """

    config: RunConfig
    loaded: Loaded
    fold: Fold
    work: Work
    data: EmotionDataModule


def restored_fold(
    restored: Restored,
    config: RunConfig,
    loaded: Loaded,
    fold: Fold,
    ids: Collection[str],
    heard: Augment | None = None,
) -> RestoredFold:
    """Readies a restored run for utterances of a fold, as it was made ready when it was trained.

    Features that are normalised by talker have heard what the talkers of these utterances say in
    every part of the fold, so that a run says of an utterance what it said after training.
    Statistics over the training part need no hearing: they lie among the weights.

    Args:
        restored: the run.
        config: its own, or that of another corpus, protocol or fold.
        loaded: the corpus of `config`.
        fold: of that corpus.
        ids: the utterances that are asked about.
        heard: what all audio is heard under, that which talkers are known by too; None: as it is.

    Raises:
        InputError: units of an utterance cannot be had.
    """
    by_talker = bool(observers(restored.system, "talker"))
    served_ids = of_talkers(loaded, fold, ids) if by_talker else tuple(ids)
    work = work_of(config, loaded, served_ids, levels_of(config.model.system))
    # No part of it is chosen on or trained on: all that is asked for is served as it is.
    served = dataclasses.replace(fold, train=(), val=(), test=served_ids)
    data = data_module(work, config, served, restored.system)
    data.heard = heard
    observe(restored.system, "talker", data.loader(served_ids), work.device)
    return RestoredFold(config, loaded, fold, work, data)


def of_talkers(loaded: Loaded, fold: Fold, ids: Collection[str]) -> tuple[str, ...]:
    """All that the talkers of these utterances say in any part of the fold, in its order.

    Args:
        loaded: the corpus.
        fold: whole.
        ids: the utterances that are asked about; they must be of this corpus.
    """
    speakers = {u.id: u.speaker for u in loaded.reading.utterances}
    wanted = {speakers[i] for i in ids}
    return tuple(i for i in everything(fold) if speakers[i] in wanted)


def everything(fold: Fold) -> tuple[str, ...]:
    """The utterances of all parts, each once: a paper's validation part may be its test part."""
    return tuple(dict.fromkeys(fold.train + fold.val + fold.test))


def data_module(
    work: Work,
    config: RunConfig,
    fold: Fold,
    system: System,
    stored: Mapping[str, StoredStream] | None = None,
    augment: Augment | None = None,
    synonyms: Synonyms | None = None,
) -> EmotionDataModule:
    """Serves what the system needs of the fold; what it does not read is not varied.

    Args:
        work: the utterances that are served, with their units; at least those of the fold.
        config: of the run.
        fold: whose parts are served.
        system: says what it needs, and tokenizes.
        stored: streams from the feature store, by the encoder's name.
        augment: varies the audio of training batches.
        synonyms: vary the words of training batches.

    Returns:
        The batches. With `select_on_test` its validation part is the test part, here and nowhere
        else, so that whatever chooses an epoch looks at it.
    """
    loaded = work.loaded
    if config.select_on_test:
        fold = dataclasses.replace(fold, val=fold.test)
    texts = {i: loaded.texts[i] for i in work.utterances}
    return EmotionDataModule(
        utterances=list(work.utterances.values()),
        fold=fold,
        targets=loaded.targets,
        classes=loaded.protocol.classes,
        durations=loaded.durations,
        inputs=inputs_of(system, texts, work.units, stored or {}, work.cut),
        seed=config.seed,
        loading=loading_of(config, work),
        augment=augment if "waveform" in system.needs else None,
        reworded=reworded(system, synonyms, {i: texts[i] for i in fold.train}),
    )


def loading_of(config: RunConfig, work: Work) -> Loading:
    """How batches are made and loaded, as the run's `trainer` says.

    Args:
        config: of the run; `evaluate` may have given it another `trainer`.
        work: knows the device, for which batches are page-locked if it is a GPU.
    """
    trainer = config.trainer
    return Loading(
        batch_size=trainer.batch_size,
        batch_seconds=trainer.batch_seconds,
        max_seconds=trainer.max_seconds,
        num_workers=trainer.num_workers,
        keep_audio_mb=trainer.keep_audio_mb,
        pin_memory=work.device.type == "cuda",
        batching=trainer.batching,
    )


def reworded(
    system: System, synonyms: Synonyms | None, texts: Mapping[str, str]
) -> Reworded | None:
    """The training texts with other words; None for systems that learn from no text.

    Args:
        system: whose text encoder tokenizes what is reworded.
        synonyms: what words are exchanged for; None: nothing is to be varied.
        texts: of the training part, by id.
    """
    encoder = system.text_encoder
    if synonyms is None or encoder is None or isinstance(system, CountingSystem):
        return None
    return Reworded(synonyms, texts, encoder.tokenize)


def observe_fold(system: System, data: EmotionDataModule, work: Work) -> None:
    """Takes the statistics that features are normalised by, before a system is trained.

    They come from the training part only; those of talkers (transductive) from all parts. Done anew
    when a run resumes: statistics of talkers are no weights, and the same batches give the same.

    Args:
        system: whose normalised encoders observe; nothing happens if it has none.
        data: of the fold.
        work: knows the device.
    """
    by_training: Sequence[str] = data.fold.train
    for over, ids in (("global", by_training), ("talker", everything(data.fold))):
        observe(system, over, data.loader(ids), work.device)
