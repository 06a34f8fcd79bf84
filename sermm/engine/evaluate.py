"""Scores a trained run on any fold, split or corpus, and says what of it was trained on.

What `sermm evaluate` does. The run stays as it is: what is found lies below it, in a folder of its
own for each corpus, fold and split, in the form that a run's own predictions have. A score on
utterances or talkers that the run was trained on is not refused, since one may want it, but it
is counted, and the command says loudly that it is no test.
"""

from collections.abc import Sequence
from pathlib import Path

from sermm.configuration.conditions import CLEAN, Condition, label
from sermm.configuration.identity import without_places
from sermm.configuration.verbs import EvaluateConfig, RunConfig
from sermm.core.digest import digest
from sermm.core.errors import InputError
from sermm.core.records import Fold
from sermm.engine.assembly.inference import predict
from sermm.engine.assembly.restore import Restored
from sermm.engine.extraction.cut_texts import cut_texts
from sermm.engine.fold_data import RestoredFold, restored_fold
from sermm.engine.inputs.conditions import heard_under, refuse_no_transcripts
from sermm.engine.inputs.corpus import Loaded
from sermm.engine.placing import corpus_and_fold
from sermm.runs.evaluation import EVALUATIONS, Evaluation, Seen
from sermm.runs.predictions import Prediction, named, score, write_predictions

SPLITS = ("train", "val", "test", "all")


def evaluate(
    restored: Restored,
    overrides: Sequence[str],
    split: str | None,
    condition: Condition | None = None,
) -> tuple[Evaluation, Path]:
    """Predicts a split and writes record and predictions into `evaluations/<digest>/`.

    The same question again replaces what it answered before.

    Args:
        restored: the run.
        overrides: of data, protocol, fold and trainer; what is not given is the run's own.
        split: train, val, test or all; None: the test part, or all of another corpus.
        condition: what the utterances are heard and read under; None: as they are. Units of speech
            stay those of the recording as it is.

    Returns:
        What it came to, and the folder that has it.

    Raises:
        InputError: the classes differ, the split is empty, or the run withholds it.
    """
    condition = condition or Condition()
    config = EvaluateConfig.over(restored.config, words_under(condition, overrides))
    if split is None:
        split = "test" if config.data.name == restored.config.data.name else "all"
    loaded, fold = corpus_and_fold(config)
    refuse_other_classes(restored, loaded)
    ids = members(fold, split)
    refuse_withheld(restored, config, ids, split)
    asked = set(ids)
    heard = heard_under(
        condition, [u for u in loaded.reading.utterances if u.id in asked], config.seed
    )
    ready = restored_fold(restored, config, loaded, fold, ids, heard)
    batches = ready.data.loader(ids)
    found = predict(restored.system, batches, ready.work.device, config.trainer.precision)
    name = label(condition, config.text.source, restored.config.text.source)
    return written(restored, ready, found, ids, (split, name))


def refuse_conditions(
    restored: Restored, overrides: Sequence[str], conditions: Sequence[Condition]
) -> None:
    """Refuses conditions that cannot be had, before anything is predicted under others.

    Args:
        restored: the run.
        overrides: as of `evaluate`.
        conditions: that are asked for.

    Raises:
        InputError: there are no transcripts of a recogniser, or the words name other texts.
    """
    for condition in conditions:
        words_under(condition, overrides)
    refuse_no_transcripts(conditions, EvaluateConfig.over(restored.config, overrides))


def words_under(condition: Condition, overrides: Sequence[str]) -> list[str]:
    """The overrides, with the texts that a condition reads.

    Raises:
        InputError: they name other texts.
    """
    if condition.text_source is None:
        return list(overrides)
    if any(word.lstrip("+").startswith("text.source=") for word in overrides):
        raise InputError(
            f"condition={condition.word} says what texts are read, and text.source= does too: give "
            "one of them"
        )
    return [*overrides, f"text.source={condition.text_source}"]


def written(
    restored: Restored,
    ready: RestoredFold,
    found: Sequence[Prediction],
    ids: Sequence[str],
    part: tuple[str, str],
) -> tuple[Evaluation, Path]:
    """Writes the predictions and their scores; returns the record and where it lies.

    The folder is named by the corpus (without the place where it lies), the ids of the fold, the
    split and the condition: another copy of the corpus gives the same name, another division
    another one.

    Args:
        restored: the run.
        ready: the corpus and fold that were asked about.
        found: the predictions.
        ids: of the utterances that were predicted.
        part: the name of that part, and what it was heard and read under.
    """
    config, loaded, fold = ready.config, ready.loaded, ready.fold
    evaluation = outcome(restored, ready, found, ids, part)
    split, condition = part
    corpus = without_places(config.data.as_plain(), config.cache_dir)
    under = [] if condition == CLEAN else [condition]
    name = digest([corpus, fold.digest, split, *under])[:12]
    target = restored.folder.path / EVALUATIONS / name
    by_id = {u.id: u for u in loaded.reading.utterances}
    # All rows bear the split that was asked for, `all` among them.
    splits, classes = dict.fromkeys(ids, split), restored.result.classes
    write_predictions(target, found, splits, by_id, loaded.targets, classes, fold.number)
    evaluation.write(target)
    return evaluation, target


def outcome(
    restored: Restored,
    ready: RestoredFold,
    found: Sequence[Prediction],
    ids: Sequence[str],
    part: tuple[str, str],
) -> Evaluation:
    """The scores of the predictions, and how much of what they are of was trained on.

    Args:
        restored: the run.
        ready: the corpus and fold that were asked about.
        found: the predictions; `metrics` names their scores with `split` in front.
        ids: of the utterances that were predicted.
        part: the name of that part, and what it was heard and read under.
    """
    loaded, classes = ready.loaded, restored.result.classes
    split, condition = part
    return Evaluation(
        run=restored.result.key,
        model=restored.result.model,
        data=ready.config.data.name,
        protocol=loaded.protocol.name,
        fold=ready.fold.number,
        split=split,
        utterances=len(found),
        seen_in_training=seen(restored, ready.config, loaded, ids),
        metrics=named(score(found, loaded.targets, classes), classes, split),
        cut=sum(loaded.durations[i] > ready.work.most_s for i in ids),
        cut_texts=cut_texts(restored.system, {i: loaded.texts[i] for i in ids}),
        condition=condition,
        as_trained=split == "test" and as_trained(restored, ready),
    )


def as_trained(restored: Restored, ready: RestoredFold) -> bool:
    """Whether corpus, protocol, fold and cut are the run's own.

    Args:
        restored: the run.
        ready: the corpus and fold that were asked about.
    """
    own, config = restored.result, ready.config
    place = (config.data.name, config.protocol.name, ready.fold.digest, config.trainer.max_seconds)
    its_own = (own.data, own.protocol, own.split_digest, restored.config.trainer.max_seconds)
    return place == its_own


def refuse_other_classes(restored: Restored, loaded: Loaded) -> None:
    """Scores need the same classes in the same order.

    Logit k of the system is class k of its own protocol, so an equal set of classes in another
    order would be scored wrongly without a word.

    Args:
        restored: the run.
        loaded: the corpus under the protocol that is asked about.

    Raises:
        InputError: they differ.
    """
    ours, theirs = list(restored.result.classes), list(loaded.protocol.classes)
    if ours != theirs:
        raise InputError(
            f"the run knows the classes {ours}, protocol {loaded.protocol.name} has {theirs}; "
            "choose a protocol= with the same classes in the same order"
        )


def refuse_withheld(restored: Restored, config: RunConfig, ids: Sequence[str], split: str) -> None:
    """The test part of a search's trial is never looked at, be it by way of another fold.

    Args:
        restored: the run.
        config: of the evaluation.
        ids: of the utterances that are asked about.
        split: the name of that part, for the message.

    Raises:
        InputError: some of them are of the run's own test part, and it withholds that.
    """
    own = restored.config
    if not restored.result.withheld or own.data.name != config.data.name:
        return
    _, fold = corpus_and_fold(own.changed({"data": config.data.as_plain()}))
    if set(ids) & set(fold.test):
        restored.result.refuse_withheld(f"split={split} of fold {config.fold}")


def members(fold: Fold, split: str) -> tuple[str, ...]:
    """The ids of a split.

    Args:
        fold: whole.
        split: train, val, test, or all for the three together, sorted.

    Raises:
        InputError: no such split, or it is empty.
    """
    if split not in SPLITS:
        raise InputError(f"split must be one of {', '.join(SPLITS)}, got {split!r}")
    parts = {"train": fold.train, "val": fold.val, "test": fold.test}
    ids = parts[split] if split != "all" else tuple(sorted(i for p in parts.values() for i in p))
    if not ids:
        raise InputError(f"fold {fold.number} has no {split} part")
    return ids


def seen(restored: Restored, config: RunConfig, loaded: Loaded, ids: Sequence[str]) -> Seen:
    """How many of these utterances, and of their talkers, the run was trained on.

    The training part is made anew from the run's own protocol, fold and seed, on the corpus where
    it lies now: the folder of a run does not list its utterances.

    Args:
        restored: the run.
        config: of the evaluation.
        loaded: the corpus that is asked about.
        ids: of the utterances that are asked about.

    Returns:
        Numbers of utterances and of talkers; 0 on a corpus of another name, whose ids and talkers
        are other ones.
    """
    own = restored.config
    if own.data.name != config.data.name:
        return Seen(utterances=0, talkers=0)
    trained_on, fold = corpus_and_fold(own.changed({"data": config.data.as_plain()}))
    speakers = {u.id: u.speaker for u in trained_on.reading.utterances + loaded.reading.utterances}
    heard = {speakers[i] for i in fold.train}
    return Seen(
        utterances=len(set(ids) & set(fold.train)),
        talkers=len({speakers[i] for i in ids} & heard),
    )
