"""Made-up run folders of IEMOCAP's size, as the engine writes them, quickly.

Records are the engine's own (`Result`, `Status`, `PlannedJob`), so the files are what a real study
has. What is dear is shared: predictions are drawn `DRAWS` times a fold, the configuration is
composed once, and nothing is synced to the disk.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from itertools import product
from pathlib import Path

import numpy as np

from sermm.configuration.identity import feature_options
from sermm.configuration.verbs import RunConfig
from sermm.core.digest import digest
from sermm.core.figures import fixed
from sermm.core.seeding import generator
from sermm.metrics.scores import confusion, scores
from sermm.runs.layout import CONFIG, METRICS, PREDICTIONS, RESULT, STATUS
from sermm.runs.plans import PlannedJob, write_plan
from sermm.runs.predictions import columns_of, named
from sermm.runs.result import Counts, Epochs, Git, Parameters, Published, Result, Seconds
from sermm.runs.status import Status
from sermm.runs.versions import versions

CLASSES = ("ang", "hap", "neu", "sad")
# Utterances and dialogues of IEMOCAP's five sessions under `loso4`.
UTTERANCES = (1085, 1023, 1151, 1031, 1241)
DIALOGUES = (28, 30, 32, 30, 31)
EPOCHS = 30
# A fold has so many different predictions; each run has a file of its own with some of them.
DRAWS = 8

Metrics = dict[str, float | None]


def write_study(study: Path, systems: int, seeds: int) -> None:
    """Writes finished runs (systems x 5 folds x seeds) and the plan of their sweep.

    Args:
        study: folder of the study.
        systems: they differ in their learning rate.
        seeds: runs of each system and fold.
    """
    shared = RunConfig.of(["model=coattention", "data=demo", f"study={study.name}"])
    # without the sync that a run's own writing takes: there are thousands
    config, curves = shared.as_yaml(), _metrics_csv()
    jobs = []
    for system, fold, seed in product(range(systems), range(1, 6), range(seeds)):
        run = _Run(shared, system, fold, seed)
        predictions, metrics = _drawn(fold, (system + seed) % DRAWS)
        folder = study / run.key
        folder.mkdir(parents=True)
        (folder / CONFIG).write_text(
            config.replace("\nfold: 1\nseed: 0\n", f"\nfold: {fold}\nseed: {seed}\n")
        )
        (folder / METRICS).write_text(curves)
        (folder / PREDICTIONS).write_bytes(predictions)
        (folder / RESULT).write_text(json.dumps(run.result(metrics).as_json(), indent=2))
        (folder / STATUS).write_text(json.dumps(run.status.as_json(), indent=2))
        jobs.append(run.job)
    write_plan(study, jobs)


@cache
def _drawn(fold: int, n: int) -> tuple[bytes, Metrics]:
    """Predictions as text, with their scores: a test session, and the next one validates.

    Args:
        fold: from 1; its session is the test part.
        n: which of the draws.

    Returns:
        `predictions.csv`, and the metrics that `result.json` must state for it.
    """
    lines = [",".join(columns_of(CLASSES))]
    metrics: Metrics = {}
    for split, session in (("test", fold), ("val", fold % 5 + 1)):
        rng = generator(0, "bench study", fold, n, split)
        labels = rng.integers(0, len(CLASSES), UTTERANCES[session - 1])
        shares = rng.dirichlet(np.ones(len(CLASSES)), len(labels))
        shares[np.arange(len(labels)), labels] += 0.5
        shares /= shares.sum(1, keepdims=True)
        guesses = shares.argmax(1)
        metrics |= named(scores(confusion(labels, guesses, len(CLASSES))), CLASSES, split)
        for utterance, label, guess, row in zip(
            _utterances(session), labels, guesses, shares.tolist(), strict=True
        ):
            first = [utterance[0], split, CLASSES[label], CLASSES[guess], *map(repr, row)]
            lines.append(",".join([*first, str(fold), *utterance[1:], digest(utterance)[:16]]))
    return ("\n".join(lines) + "\n").encode(), metrics


def _utterances(session: int) -> Iterator[tuple[str, ...]]:
    """Id, group, dialogue, talker and act of a session's utterances."""
    for n in range(UTTERANCES[session - 1]):
        number = n % DIALOGUES[session - 1]
        act = "scripted" if number % 2 else "improvised"
        dialogue = f"Ses0{session}{'FM'[number // 2 % 2]}_{act[:6]}{number:02d}"
        talker = "FM"[n // 40 % 2]
        yield f"{dialogue}_{talker}{n:04d}", str(session), dialogue, f"Ses0{session}{talker}", act


@dataclass(frozen=True)
class _Run:
    """One run of the study.

    Attributes:
        config: the configuration that it shares with all others.
        system: number of its system, from 0.
        fold: from 1.
        seed: from 0.
    """

    config: RunConfig
    system: int
    fold: int
    seed: int

    @property
    def rate(self) -> dict[str, str]:
        """What tells its system from the others."""
        return {"model.learning.lr": fixed(1e-5 * (self.system + 1), 5)}

    @property
    def key(self) -> str:
        """Of its folder."""
        return digest(["bench study", self.system, self.fold, self.seed])[:16]

    @property
    def job(self) -> PlannedJob:
        """As a sweep plans it."""
        own = {**self.rate, "fold": self.fold, "seed": self.seed}
        words = ["model=coattention", "data=demo", f"study={self.config.study}"]
        return PlannedJob((*words, *(f"{key}={value}" for key, value in own.items())))

    @property
    def status(self) -> Status:
        """How it says that it is."""
        beat = datetime(2026, 1, 1, tzinfo=UTC)
        return Status("finished", None, "node1", 1, beat, self.job.id, None)

    def result(self, metrics: Metrics) -> Result:
        """What it came to, with the metrics of its predictions: the report would warn of others."""
        model, protocol = self.config.model, self.config.protocol
        test, val = (UTTERANCES[number - 1] for number in (self.fold, self.fold % 5 + 1))
        return Result(
            key=self.key,
            study=self.config.study,
            system=digest(["bench study", self.system])[:16],
            model=model.name,
            floor=False,
            variant=model.variant,
            settings=self.rate,
            data="iemocap",
            protocol=protocol.name,
            protocol_notes=str(protocol.given("notes")),
            leaky=False,
            headline="ua",
            classes=CLASSES,
            fold=self.fold,
            n_folds=5,
            seed=self.seed,
            split_digest=digest(["bench study", "fold", self.fold]),
            metrics=metrics,
            parameters=Parameters(total=209_000_000, trainable=14_000_000),
            seconds=Seconds(train=1800.0, predict=20.0, total=1820.0),
            epochs=Epochs(best=17, last=EPOCHS),
            selection="val",
            text_source="human",
            features=feature_options(self.config),
            notes=model.notes,
            published=tuple(map(Published.of, model.published)),
            papers=list(model.papers),
            curves=list(model.curves),
            counts=Counts(
                train=sum(UTTERANCES) - test - val, val=val, test=test, cut=0, problems=0
            ),
            versions=versions(),
            git=Git(digest("bench study")[:40], dirty=False),
        )


def _metrics_csv() -> str:
    """Learning curves of a run."""
    names = [f"{part}/{name}" for part in ("val", "train") for name in ("loss", "ua", "wa")]
    rng = generator(0, "bench study", "curves")
    rows = [[str(n), *map(repr, rng.random(len(names)).tolist())] for n in range(1, EPOCHS + 1)]
    return "\n".join(map(",".join, [["epoch", *names], *rows])) + "\n"
