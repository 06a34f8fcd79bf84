"""What fine-tuning is said to need, and what is said when it is not there."""

from itertools import count

import pytest
import torch
from torch import nn

from sermm.bench.epoch import speech_task
from sermm.configuration.identity import identity
from sermm.configuration.verbs import RunConfig
from sermm.core import memory
from sermm.core.errors import InputError
from sermm.engine.assembly.encoders import refuse_features
from sermm.engine.training import memory_estimate
from sermm.engine.training.fit import fit
from sermm.engine.training.memory_estimate import (
    Need,
    extrapolated,
    note,
    room_for,
    saved_bytes,
    state_bytes,
)
from sermm.engine.training.out_of_memory import memory_watched, ways_out

CPU = torch.device("cpu")
MFCC = ("n_mfcc", "centred", "pitch", "augment", "channels", "stride", "hidden")
TUNED = [
    "encoder/speech=demo",
    "model=speech_only",
    *(f"~encoder.speech.{name}" for name in MFCC),
]


def test_the_bytes_that_a_layer_keeps_are_its_input_and_what_the_activation_gave():
    module = nn.Sequential(nn.Linear(4, 3), nn.ReLU())
    given = torch.randn(5, 4, requires_grad=True)
    # 5 x 4 inputs for the weight's gradient and 5 x 3 outputs of the ReLU, no weights.
    assert saved_bytes(module, given) == 4 * (5 * 4 + 5 * 3)


class Twice(nn.Module):
    """One layer over the same input, twice."""

    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(4, 3)

    def forward(self, given):
        return self.layer(given) + self.layer(given)


def test_what_is_kept_twice_takes_memory_once():
    assert saved_bytes(Twice(), torch.randn(5, 4)) == 4 * 5 * 4
    assert saved_bytes(Twice().requires_grad_(False), torch.randn(5, 4)) == 0


def test_what_does_not_grow_with_speech_is_not_multiplied():
    # 100 bytes whatever the length, and 50 a second.
    assert extrapolated((1.0, 150), (3.0, 250), 10.0) == 600
    assert extrapolated((2.0, 300), (2.0, 300), 10.0) == 1500


@pytest.mark.parametrize(
    ("optimizer", "expected"),
    [("torch.optim.AdamW", 8.0), ("torch.optim.SGD", 0.0), ("torch.optim.RMSprop", 4.0)],
)
def test_the_state_of_an_optimiser_is_found_by_a_step(optimizer, expected):
    words = ["model=speech_only", f"model.learning.optimizer._target_={optimizer}"]
    assert state_bytes(RunConfig.of(words).model.learning, CPU) == expected


def test_the_note_is_one_line():
    need = Need(1_700_000_000, 1_700_000_000, 3_400_000_000, 3_000_000_000)
    assert note(need, "Adam", 32.4, 24_000_000_000) == (
        "  memory: about 9.8 GB (weights 1.7, gradients 1.7, Adam 3.4, activations 3.0 for 32 s "
        "of speech) of 24.0 GB"
    )
    assert note(Need(1_000_000, 0, 0, 0), "Adam", 1.0, None) == (
        "  memory: about 1.0 MB (weights 1.0, gradients 0.0, Adam 0.0, activations 0.0 for 1 s "
        "of speech)"
    )


def test_free_memory_is_what_the_system_says_and_what_the_run_holds(tmp_path, monkeypatch):
    file = tmp_path / "meminfo"
    monkeypatch.setattr(memory, "_PROC", tmp_path)
    assert room_for(CPU, 24) is None
    file.write_text("MemTotal: 9 kB\nMemAvailable:       3 kB\n")
    assert room_for(CPU, 24) == 3 * 1024 + 24


@pytest.fixture
def tuned(tmp_path):
    numbers = count()

    def make(*more):
        words = [*TUNED, f"cache_dir={tmp_path}", "trainer.max_epochs=1", *more]
        return speech_task(tmp_path / str(next(numbers)), 16, words)

    return make


def test_a_run_that_fine_tunes_says_what_it_needs(tuned, capsys):
    task = tuned("trainer.batch_size=4")
    fit(task)
    (line,) = [x for x in capsys.readouterr().err.splitlines() if "memory:" in x]
    weights = sum(t.nbytes for t in (*task.system.parameters(), *task.system.buffers()))
    trained = sum(p.nbytes for p in task.system.parameters() if p.requires_grad)
    assert f"(weights {weights / 1e6:.1f}, gradients {trained / 1e6:.1f}, AdamW " in line
    assert f"AdamW {2 * trained / 1e6:.1f}, activations " in line
    assert "s of speech) of " in line


def test_checkpointed_layers_are_counted_as_such(tuned, capsys):
    found = []
    for word in ("false", "true"):
        fit(tuned(f"features.checkpointing={word}", "trainer.batch_size=8"))
        line = next(x for x in capsys.readouterr().err.splitlines() if "memory:" in x)
        found.append(float(line.split("activations ")[1].split(" for")[0]))
    assert found[0] > 2 * found[1] > 0


def test_frozen_encoders_need_no_note(tuned, capsys):
    fit(tuned("features=frozen"))
    assert "memory:" not in capsys.readouterr().err


def test_less_memory_than_needed_is_a_warning_with_the_ways_out(tuned, capsys, monkeypatch):
    monkeypatch.setattr(memory_estimate, "room_for", lambda device, held: 1000)
    fit(tuned("trainer.batch_size=4"))
    told = capsys.readouterr().err
    assert "warning: more than there is" in told
    for setting in ("batch_size=2", "accumulate=2", "checkpointing=true", "trainable=4"):
        assert setting in told


def test_the_note_changes_no_number(tuned, monkeypatch):
    weights = []
    for tuned_encoders in (True, False):
        task = tuned("trainer.batch_size=4")
        if not tuned_encoders:
            monkeypatch.setattr(memory_estimate.MemoryNote, "on_train_start", lambda *_: None)
        fit(task)
        weights.append(task.system.state_dict())
    torch.testing.assert_close(weights[0], weights[1], rtol=0, atol=0)


def plain(*words):
    return RunConfig.of(["model=speech_only", *words])


def keys(found):
    return [[word.split("=")[0] for word in way.split() if "=" in word] for way in found]


def test_three_settings_are_named_best_first():
    batch = ["trainer.batch_size", "trainer.accumulate"]
    checkpointing, trainable = ["features.checkpointing"], ["features.trainable"]
    cuda = torch.device("cuda")
    assert keys(ways_out(plain(), CPU)) == [batch, checkpointing, trainable]
    assert keys(ways_out(plain("trainer.precision=32-true"), cuda)) == [
        batch,
        checkpointing,
        ["trainer.precision"],
    ]
    few = plain("trainer.batch_size=1", "features.checkpointing=true", "features.trainable=1")
    assert keys(ways_out(few, CPU)) == [["trainer.max_seconds"]]
    (uncut,) = ways_out(few.changed({"trainer.max_seconds": None}), CPU)
    assert uncut == "trainer.max_seconds=15 (longer utterances are cut there)"
    assert keys(ways_out(plain("features=frozen"), CPU)) == [
        batch,
        ["features"],
        ["trainer.max_seconds"],
    ]


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["trainer.batch_size=8"], "trainer.batch_size=4 trainer.accumulate=2 (half"),
        (["trainer.batch_size=9"], "trainer.batch_size=3 trainer.accumulate=3 (1/3"),
        (["trainer.batch_size=4", "trainer.accumulate=3"], "batch_size=2 trainer.accumulate=6"),
        (
            ["trainer.batch_size=null", "trainer.batch_seconds=60"],
            "trainer.batch_seconds=30 trainer.accumulate=2 (half",
        ),
    ],
)
def test_the_smaller_batch_keeps_the_effective_one(words, expected):
    before = plain(*words)
    way = ways_out(before, CPU)[0]
    assert expected in way
    after = plain(*words, *(word for word in way.split("(")[0].split()))
    assert identity(after) == identity(before)


def test_checkpointing_is_no_part_of_a_runs_identity():
    assert identity(plain("features.checkpointing=true")) == identity(plain())


@pytest.mark.parametrize("mode", ["frozen", "cached"])
def test_checkpointing_without_training_is_refused(mode):
    with pytest.raises(InputError, match=f"features={mode} trains none"):
        refuse_features(plain(f"features={mode}", "features.checkpointing=true").features)
    refuse_features(plain(f"features={mode}").features)


@pytest.mark.parametrize(
    "error",
    [
        torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.\nmore"),
        RuntimeError(
            "[enforce fail at alloc_cpu.cpp:124] err == 0. DefaultCPUAllocator: can't allocate "
            "memory: you tried to allocate 8 bytes. Error code 12"
        ),
    ],
)
def test_running_out_of_memory_ends_in_one_message(error):
    with (
        pytest.raises(InputError) as caught,
        memory_watched(plain(), CPU),
    ):
        raise error
    message = str(caught.value)
    assert str(error).splitlines()[0] in message
    assert "\n" not in message
    for setting in ("trainer.batch_size=8", "features.checkpointing=true", "features.trainable=4"):
        assert setting in message


def test_other_errors_stay_as_they_are():
    with pytest.raises(RuntimeError, match=r"^shapes differ$"), memory_watched(plain(), CPU):
        raise RuntimeError("shapes differ")
