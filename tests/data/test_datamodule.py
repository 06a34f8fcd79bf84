from dataclasses import fields
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import soundfile
import torch
from lightning import LightningModule, Trainer

from sermm.core.errors import InputError
from sermm.core.records import Fold, Utterance
from sermm.data.augment.augment import Augment
from sermm.data.augment.kinds import Gain, Speed
from sermm.data.augment.noise import Noise
from sermm.data.datamodule import EmotionDataModule, Loading
from sermm.data.dataset import Inputs, StoredStream
from sermm.store.features import FeatureStore

CLASSES = ("ang", "hap")
PARTS = {"train": range(24), "val": range(24, 30), "test": range(30, 40)}
pytestmark = pytest.mark.filterwarnings("ignore:The .* does not have many workers")


def augmented(kinds, seed):
    return Augment(kinds, seed, {kind: {} for kind in kinds})


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    folder = tmp_path_factory.mktemp("corpus")
    rng = np.random.default_rng(0)
    utterances = []
    for number in range(40):
        path = folder / f"u{number:02}.wav"
        soundfile.write(path, rng.uniform(-0.5, 0.5, 1600 + 160 * (number % 7)), 16000)
        text = None if number == 5 else "x" * (number % 4)
        utterances.append(Utterance(path.stem, "mini", path, None, "s1", transcript=text))
    return utterances


def fold_of(val=True):
    ids = {name: tuple(f"u{n:02}" for n in part) for name, part in PARTS.items()}
    return Fold(1, ids["train"], ids["val"] if val else (), ids["test"])


OPTIONS = fields(Loading)
EMPTY = FeatureStore(Path("/nowhere"), {"dtype": "float32"})


def tokenize(transcripts):
    return [[len(text)] * len(text) for text in transcripts]


def tokens_of(corpus):
    ids = tokenize([u.transcript or "" for u in corpus])
    return {u.id: torch.tensor(i, dtype=torch.int64) for u, i in zip(corpus, ids, strict=True)}


def module_of(corpus, **changes):
    arguments = {
        "utterances": corpus,
        "fold": fold_of(),
        "targets": {u.id: CLASSES[int(u.id[1:]) % 2] for u in corpus},
        "classes": CLASSES,
        "durations": {u.id: 0.1 + 0.01 * (int(u.id[1:]) % 7) for u in corpus},
        "inputs": Inputs(waveform=True, tokens=tokens_of(corpus)),
        "seed": 3,
    } | changes
    loading = {"batch_size": 5} | {f.name: changes[f.name] for f in OPTIONS if f.name in changes}
    own = {name: value for name, value in arguments.items() if name not in loading}
    return EmotionDataModule(**own, loading=Loading(**loading))


def ids_of(loader, epochs=1):
    seen = []
    for epoch in range(epochs):
        loader.batch_sampler.set_epoch(epoch)
        seen.append([batch.ids for batch in loader])
    return seen


def test_each_part_is_served_once_and_joined_on_the_id(corpus):
    module = module_of(corpus[::-1])
    by_id = {u.id: u for u in corpus}
    for name, loader in (
        ("train", module.train_dataloader()),
        ("val", module.val_dataloader()),
        ("test", module.test_dataloader()),
    ):
        batches = list(loader)
        assert sorted(i for b in batches for i in b.ids) == list(getattr(fold_of(), name))
        for batch in batches:
            numbers = [int(i[1:]) for i in batch.ids]
            texts = [by_id[i].transcript or "" for i in batch.ids]
            assert batch.label.tolist() == [n % 2 for n in numbers]
            assert batch.waveform.sizes == [1600 + 160 * (n % 7) for n in numbers]
            assert [t.tolist() for t in batch.tokens.split()] == tokenize(texts)
            first = soundfile.read(by_id[batch.ids[0]].path, dtype="float32")[0]
            assert torch.equal(batch.waveform.split()[0], torch.from_numpy(first))


def test_random_batches_are_evaluated_in_the_order_of_the_data(corpus):
    module = module_of(corpus, batching="random")
    (seen,) = ids_of(module.test_dataloader())
    assert [i for ids in seen for i in ids] == list(fold_of().test)
    (alike,) = ids_of(module_of(corpus).test_dataloader())
    assert [i for ids in alike for i in ids] != list(fold_of().test)
    one, other = ids_of(module.train_dataloader(), 2)
    assert sorted(i for ids in one for i in ids) == sorted(i for ids in other for i in ids)
    assert one != other


def test_a_fold_without_val(corpus):
    assert module_of(corpus, fold=fold_of(val=False)).val_dataloader() == []


def test_text_alone_opens_no_audio(corpus, tmp_path):
    moved = [Utterance(u.id, "mini", tmp_path / "no.wav", None, "s1") for u in corpus]
    batch = next(iter(module_of(moved, inputs=Inputs(tokens=tokens_of(moved))).train_dataloader()))
    assert batch.waveform is None
    assert batch.tokens.sizes == [0] * len(batch)


def test_speech_alone_needs_no_tokens(corpus):
    module = module_of(corpus, inputs=Inputs(waveform=True))
    assert next(iter(module.test_dataloader())).tokens is None


def test_max_seconds_cuts_and_counts(corpus):
    # Lengths are 0.10 .. 0.16 s by number mod 7; of 40, five have 0.15 and five 0.16.
    module = module_of(corpus, max_seconds=0.14)
    assert module.cut == 10
    sizes = [size for b in module.train_dataloader() for size in b.waveform.sizes]
    assert max(sizes) == 2240
    assert sizes.count(2240) == 9
    whole = module_of(corpus, max_seconds=None)
    assert whole.cut == 0
    assert max(size for b in whole.train_dataloader() for size in b.waveform.sizes) == 2560


def test_a_budget_of_seconds(corpus):
    module = module_of(corpus, batch_size=None, batch_seconds=0.5)
    for batch in module.train_dataloader():
        assert sum(batch.waveform.sizes) <= 8000


def test_workers_change_nothing(corpus):
    here, there = module_of(corpus), module_of(corpus, num_workers=2)
    loaders = here.train_dataloader(), there.train_dataloader()
    for epoch in range(2):
        for loader in loaders:
            loader.batch_sampler.set_epoch(epoch)
        torch.manual_seed(0)
        before = torch.get_rng_state()
        for one, other in zip(*loaders, strict=True):
            assert one.ids == other.ids
            assert torch.equal(one.waveform.values, other.waveform.values)
            assert torch.equal(one.tokens.values, other.tokens.values)
            assert torch.equal(one.label, other.label)
        assert torch.equal(torch.get_rng_state(), before)


SETTINGS = {
    "speed": Speed(0.5, (0.8, 1.2)),
    "noise": Noise(0.5, (10.0, 30.0)),
    "gain": Gain(0.5, (-6.0, 6.0)),
}


def heard(loader, epoch):
    loader.batch_sampler.set_epoch(epoch)
    return {
        i: w for batch in loader for i, w in zip(batch.ids, batch.waveform.split(), strict=True)
    }


def same(one, other):
    return one.keys() == other.keys() and all(torch.equal(one[i], other[i]) for i in one)


def test_only_training_is_augmented_and_anew_in_every_epoch(corpus):
    clean, varied = module_of(corpus), module_of(corpus, augment=augmented(SETTINGS, 3))
    for part in ("val", "test"):
        one, other = (getattr(m, f"{part}_dataloader")() for m in (clean, varied))
        assert same(heard(one, 1), heard(other, 1))
    ids = fold_of().train
    assert same(heard(clean.loader(ids), 0), heard(varied.loader(ids), 0))
    loader = varied.train_dataloader()
    epochs = [heard(loader, epoch) for epoch in (0, 1)]
    assert not same(epochs[0], heard(clean.train_dataloader(), 0))
    assert not same(*epochs)
    assert same(heard(loader, 0), epochs[0])


def test_workers_and_batch_mates_change_nothing_of_what_is_augmented(corpus):
    augment = augmented(SETTINGS, 3)
    loaders = [
        module_of(corpus, augment=augment, **more).train_dataloader()
        for more in ({}, {"num_workers": 2}, {"batch_size": 3}, {"keep_audio_mb": 0})
    ]
    before = torch.get_rng_state()
    # The workers live through both epochs.
    for epoch in (4, 0):
        first, *others = (heard(loader, epoch) for loader in loaders)
        assert all(same(first, other) for other in others)
    assert torch.equal(torch.get_rng_state(), before)


def test_a_budget_of_seconds_holds_for_slower_speech(corpus):
    slow = augmented({"speed": Speed(1.0, (0.8, 0.8))}, 0)
    module = module_of(corpus, batch_size=None, batch_seconds=0.5, max_seconds=0.15, augment=slow)
    batches = list(module.train_dataloader())
    assert max(sum(batch.waveform.sizes) for batch in batches) <= 8000
    # 0.12 s last 0.15 s, and what would last longer is cut there.
    assert {size for batch in batches for size in batch.waveform.sizes} == {2000, 2200, 2400}


@pytest.mark.parametrize("num_workers", [0, 1])
def test_a_bad_file_is_named_with_its_utterance(corpus, tmp_path, num_workers):
    (tmp_path / "bad.wav").touch()
    bad = Utterance("u00", "mini", tmp_path / "bad.wav", None, "s1")
    module = module_of([bad, *corpus[1:]], num_workers=num_workers)
    with pytest.raises(InputError, match=r"utterance u00: .*bad\.wav: an empty file"):
        list(module.train_dataloader())


def test_devices_share_the_batches(corpus):
    seen = []
    for rank in (0, 1):
        module = module_of(corpus)
        module.trainer = SimpleNamespace(
            global_rank=rank, world_size=2, fit_loop=Trainer(logger=False).fit_loop
        )
        seen.append(ids_of(module.train_dataloader())[0])
    assert [len(batches) for batches in seen] == [3, 3]
    assert sorted(i for batches in seen for ids in batches for i in ids) == list(fold_of().train)


class Recorder(LightningModule):
    """Remembers the ids of every training batch by epoch."""

    def __init__(self):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.zeros(()))
        self.seen, self.heard = {}, {}

    def training_step(self, batch, index):
        self.seen.setdefault(self.current_epoch, []).append(batch.ids)
        self.heard.setdefault(self.current_epoch, []).append(batch.waveform.values)
        return self.weight * batch.waveform.values.sum()

    def validation_step(self, batch, index):
        pass

    def configure_optimizers(self):
        # As schedules do: this makes the loaders, and starts their workers.
        assert self.trainer.estimated_stepping_batches
        return torch.optim.SGD(self.parameters(), 0.0)


def fit(corpus, folder, max_epochs, checkpoint=None, **changes):
    trainer = Trainer(
        accelerator="cpu",
        max_epochs=max_epochs,
        default_root_dir=folder,
        logger=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        use_distributed_sampler=False,
    )
    recorder = Recorder()
    trainer.fit(recorder, datamodule=module_of(corpus, **changes), ckpt_path=checkpoint)
    return recorder, trainer.checkpoint_callback.best_model_path


def test_lightning_tells_the_epoch(corpus, tmp_path):
    seen = fit(corpus, tmp_path, 3)[0].seen
    assert list(seen.values()) == ids_of(module_of(corpus).train_dataloader(), 3)
    assert seen[0] != seen[1] != seen[2]


@pytest.mark.filterwarnings("ignore:The dirpath has changed")
@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"batch_size": None, "batch_seconds": 0.5},
        {"num_workers": 1, "augment": augmented(SETTINGS, 3)},
    ],
)
def test_resuming_gives_the_batches_of_the_epoch(corpus, tmp_path, changes):
    whole, _ = fit(corpus, tmp_path / "whole", 4, **changes)
    first, checkpoint = fit(corpus, tmp_path / "half", 2, **changes)
    rest, _ = fit(corpus, tmp_path / "rest", 4, checkpoint, **changes)
    assert list(first.seen) == [0, 1]
    assert list(rest.seen) == [2, 3]
    assert first.seen | rest.seen == whole.seen
    resumed = first.heard | rest.heard
    assert all(
        torch.equal(one, other)
        for epoch, batches in whole.heard.items()
        for one, other in zip(batches, resumed[epoch], strict=True)
    )


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"durations": {}}, "40 ids have no duration .first: u00"),
        ({"targets": {"u00": "ang"}}, "39 ids have no target .first: u01"),
        ({"utterances": []}, "40 ids have no utterance"),
        ({"classes": ("ang", "sad")}, "utterance u01: target 'hap' is not among"),
        ({"inputs": Inputs(tokens={})}, "40 ids have no tokens .first: u00"),
        ({"inputs": Inputs(characters={})}, "40 ids have no characters .first: u00"),
        ({"inputs": Inputs(units={"word": {}})}, "40 ids have no words"),
        ({"inputs": Inputs(stored={"speech": StoredStream(EMPTY, {})})}, "no stored speech"),
    ],
)
def test_wrong_arguments(corpus, changes, message):
    with pytest.raises(InputError, match=message):
        module_of(corpus, **changes)


def test_no_limit_of_a_batch(corpus):
    with pytest.raises(InputError, match="either batch_size or batch_seconds"):
        module_of(corpus, batch_size=None)
