"""What predicting costs, and how training and validation compare by epoch."""

import csv
import dataclasses

import pytest
import torch

from sermm.bench.epoch import speech_task
from sermm.core import memory
from sermm.encoders.precision import device_name
from sermm.engine import cost as costs
from sermm.engine.assembly.inference import predict
from sermm.engine.cost import cost, measured
from sermm.engine.record import record
from sermm.engine.training.callbacks import overfit, overfit_at
from sermm.engine.training.fit import Learned, fit
from sermm.runs.result import Epochs, Overfit

CPU = torch.device("cpu")


class Clock:
    """Tells the times given, one a call."""

    def __init__(self, *times: float) -> None:
        self.times = map(float, times)

    def __call__(self) -> float:
        return next(self.times)


@pytest.fixture
def task(tmp_path):
    return speech_task(tmp_path, 12, ["trainer.max_epochs=2"])


@pytest.fixture
def validated(task):
    """The same with a validation part."""
    return with_validation(task)


def with_validation(task):
    train, fold = task.fold.train, task.fold
    split = dataclasses.replace(fold, train=train[:4], val=train[4:])
    task.data.fold = split
    return dataclasses.replace(task, fold=split)


def one_by_one(task):
    dataset = task.data.test_dataloader().dataset
    return [dataset[place] for place in range(len(dataset))]


def test_the_median_time_of_one_utterance(task, monkeypatch):
    # The clock is read at the start, then twice a prediction and once after each utterance; the
    # first two utterances are predicted twice, of which the second time counts: 0.1, 0.4, 0.2 s.
    times = [0, *(0, 9, 9, 9.1, 1), *(0, 9, 9, 9.4, 1), *(0, 0.2, 1)]
    monkeypatch.setattr(costs.time, "perf_counter", Clock(*times))
    found = measured(task.system, one_by_one(task)[:3], CPU, False)
    assert found.ms_per_sample == pytest.approx(200)
    assert found.utterances == 3


def test_it_stops_when_the_time_is_up(task, monkeypatch):
    times = [0, *(0, 1, 1, 2, 2), *(2, 4, 4, 6, 6)]
    monkeypatch.setattr(costs.time, "perf_counter", Clock(*times))
    found = measured(task.system, one_by_one(task), CPU, False)
    assert (found.utterances, found.ms_per_sample) == (2, pytest.approx(1500))


def test_what_it_was_measured_with_is_told(task):
    found = cost(task, CPU)
    assert found is not None
    assert found.utterances == len(task.fold.test) == 4
    assert found.ms_per_sample > 0
    assert found.device == device_name(CPU)
    assert (found.threads, found.precision) == (torch.get_num_threads(), "32-true")
    assert found.features == task.config.features.mode
    assert found.peak_memory_gb is None or 0.05 < found.peak_memory_gb < 64


def test_at_most_twenty_utterances_from_all_over_the_test_part(tmp_path, monkeypatch):
    task = speech_task(tmp_path, 90)
    seen = []

    def noted(system, batches, device, half):
        seen.extend(i for batch in batches for i in batch.ids)
        return costs.Taken(1.0, 1, None)

    monkeypatch.setattr(costs, "measured", noted)
    cost(task, CPU)
    assert 40 < len(task.fold.test) <= 60
    assert seen == list(task.fold.test[::3])


def test_predictions_are_the_same_after_it(task):
    batches = list(task.data.test_dataloader())
    before = predict(task.system, batches, CPU, "32-true")
    drawn = torch.get_rng_state()
    cost(task, CPU)
    assert torch.equal(torch.get_rng_state(), drawn)
    after = predict(task.system, batches, CPU, "32-true")
    for one, other in zip(before, after, strict=True):
        assert one.probabilities.tobytes() == other.probabilities.tobytes()


def test_memory_is_not_known_everywhere(task, monkeypatch, tmp_path):
    monkeypatch.setattr(memory, "_PROC", tmp_path / "no")
    assert measured(task.system, one_by_one(task)[:1], CPU, False).peak_memory_gb is None


def test_memory_is_the_greatest_that_was_resident(task, monkeypatch, tmp_path):
    (tmp_path / "self").mkdir()
    (tmp_path / "self" / "status").write_text(
        "VmPeak:\t 9 kB\nVmHWM:\t 2000000 kB\nVmRSS:\t 5 kB\n"
    )
    monkeypatch.setattr(memory, "_PROC", tmp_path)
    found = measured(task.system, one_by_one(task)[:1], CPU, False)
    assert found.peak_memory_gb == 2.048
    assert (tmp_path / "self" / "clear_refs").read_text() == "5"


def test_floors_cost_nothing(tmp_path):
    assert cost(speech_task(tmp_path, 8, ["model=majority"]), CPU) is None


def test_overfitting_has_two_ratios():
    figures = {"train/wa": 0.9, "val/wa": 0.6, "train/loss": 0.5, "val/loss": 0.75}
    assert overfit(figures) == pytest.approx({"overfit/wa_ratio": 1.5, "overfit/loss_ratio": 1.5})
    assert overfit({**figures, "val/wa": 0.0, "val/loss": float("nan")}) == {}
    assert overfit({**figures, "train/loss": 0.0}) == {"overfit/wa_ratio": pytest.approx(1.5)}
    assert overfit({"train/wa": 0.9, "train/loss": 0.5}) == {}


def test_branches_that_are_trained_apart_have_no_ratio_of_losses(tmp_path):
    words = ["trainer.max_epochs=1", "trainer.clip_norm=null", "model.system.joint=false"]
    task = with_validation(speech_task(tmp_path, 12, words))
    (row,) = fit(task).rows
    # Two branches: the sum is trained, the mean is logged too.
    assert row["train/parts_loss"] == pytest.approx(row["train/loss"] / 2)
    assert "train/label_loss" not in row
    assert row["val/loss"] > 0
    assert "overfit/loss_ratio" not in row
    assert overfit_at(task.folder.path, 1).loss_ratio is None


def test_the_ratios_of_the_best_epoch(tmp_path):
    path = tmp_path / "metrics.csv"
    assert overfit_at(tmp_path, 1) is None
    path.write_text("epoch,val/wa,overfit/wa_ratio,overfit/loss_ratio\n1,0,,2.5\n2,1,1.25,3\n")
    assert overfit_at(tmp_path, 1) == Overfit(None, 2.5)
    assert overfit_at(tmp_path, 2) == Overfit(1.25, 3.0)
    assert overfit_at(tmp_path, 3) == Overfit()
    path.write_text("epoch,train/loss\n1,0.5\n")
    assert overfit_at(tmp_path, 1) == Overfit()


def rows(path):
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def test_ratios_are_in_every_epoch(validated):
    fit(validated)
    epochs = rows(validated.folder.path / "metrics.csv")
    assert len(epochs) == 2
    for row in epochs:
        quotient = float(row["val/loss"]) / float(row["train/loss"])
        assert float(row["overfit/loss_ratio"]) == pytest.approx(quotient)


def test_a_run_records_both(validated):
    keeper = fit(validated)
    found = record(validated, {}, Learned(Epochs(keeper.best_epoch, 2)), 1.0)
    row = rows(validated.folder.path / "metrics.csv")[keeper.best_epoch - 1]
    assert found.overfit.loss_ratio == float(row["overfit/loss_ratio"])
    assert found.cost.utterances == 4


def test_on_a_gpu_memory_is_what_torch_held(monkeypatch):
    gpu, forgotten = torch.device("cuda"), []
    monkeypatch.setattr(torch.cuda, "reset_peak_memory_stats", forgotten.append)
    monkeypatch.setattr(torch.cuda, "max_memory_allocated", {gpu: 3_100_000_000}.get)
    assert costs._forget_peak(gpu)
    assert forgotten == [gpu]
    assert costs._peak_gb(gpu) == 3.1
