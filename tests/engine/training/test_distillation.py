"""Learning from a teacher: the loss by hand, what is kept of it, and which runs may teach."""

import json
import math

import pytest
import torch
import torch.nn.functional as F
from hydra import compose as hydra_compose
from hydra import initialize_config_dir
from hydra.core.override_parser.overrides_parser import OverridesParser

from sermm.configuration.compose import conf_dir
from sermm.configuration.identity import identity, run_key, settings, system_key
from sermm.configuration.verbs import RunConfig
from sermm.core.batch import Batch, Output
from sermm.core.digest import digest
from sermm.core.errors import InputError
from sermm.core.records import Fold
from sermm.engine.training.distillation import Distillation, taught, teacher_setting
from sermm.engine.training.learner import Learner
from sermm.engine.training.teacher import with_teacher
from sermm.engine.training.teaching import as_today, read, write
from sermm.models.base import System
from sermm.runs.result import Parameters, Teacher
from sermm.runs.status import Status

LN2, LN3 = math.log(2), math.log(3)
TEACHER = {"a": [math.log(0.75), math.log(0.25)], "b": [math.log(0.5), math.log(0.5)]}


def output(*logits):
    return Output(torch.tensor(logits, requires_grad=True), torch.zeros(len(logits), 1))


def test_the_loss_by_hand():
    # softmax((2 ln 3, 0) / 2) = (3/4, 1/4) against uniform students; the teacher of b is uniform.
    wide = {"a": [2 * LN3, 0.0], "b": [1.0, 1.0]}
    loss = Distillation(wide, 0.5, 2.0)(Batch(("a", "b")), output([0.0, 0.0], [5.0, 5.0]))
    of_a = 0.75 * math.log(0.75 / 0.5) + 0.25 * math.log(0.25 / 0.5)
    assert loss.item() == pytest.approx(0.5 * 4 * of_a / 2, rel=1e-6)


def test_the_gradient_by_hand():
    said = output([0.0, 0.0])
    Distillation({"a": [2 * LN3, 0.0]}, 0.5, 2.0)(Batch(("a",)), said).backward()
    # d KL / d z_s = (softmax(z_s / T) - softmax(z_t / T)) / T, times w T^2 = 2.
    torch.testing.assert_close(said.logits.grad, torch.tensor([[-0.25, 0.25]]))


def test_alone_and_without_temperature_it_is_cross_entropy_less_the_teachers_entropy():
    said = output([0.3, -1.0], [2.0, 0.5])
    loss = Distillation(TEACHER, 1.0, 1.0)(Batch(("a", "b")), said)
    targets = torch.tensor([[0.75, 0.25], [0.5, 0.5]])
    entropy = -(targets * targets.log()).sum(-1).mean()
    torch.testing.assert_close(loss, F.cross_entropy(said.logits, targets) - entropy)


def test_rows_are_found_by_id_whatever_their_order():
    objective = Distillation(TEACHER, 1.0, 1.0)
    loss = objective(Batch(("b",)), output([0.0, 0.0]))
    assert loss.item() == pytest.approx(0.0, abs=1e-7)
    two = objective(Batch(("b", "a")), output([0.0, 0.0], [LN3, 0.0]))
    assert two.item() == pytest.approx(0.0, abs=1e-7)


def test_half_precision_logits_give_a_loss_in_single():
    said = Output(torch.zeros(1, 2, dtype=torch.bfloat16), torch.zeros(1, 1))
    assert Distillation(TEACHER, 1.0, 2.0)(Batch(("a",)), said).dtype == torch.float32


class Fixed(System):
    """Says the same of everybody, by its one parameter."""

    def __init__(self) -> None:
        super().__init__()
        self.said = torch.nn.Parameter(torch.zeros(2))

    def forward(self, batch: Batch) -> Output:
        """The parameter for all."""
        logits = self.said.expand(len(batch), 2)
        return Output(logits, logits)


@pytest.fixture
def learner():
    """Uniform logits, the teacher at weight 0.7 and T = 2."""

    objective = Distillation(TEACHER, 0.7, 2.0)
    options = plain().model.learning
    learner = Learner(Fixed(), options, {"a": 1, "b": 1}, {"distillation": objective})
    learner.log_dict = lambda values, **_: None
    return learner


def test_labels_keep_the_rest_of_the_weight(learner):
    batch = Batch(("a",), label=torch.tensor([0]))
    kl = F.kl_div(
        torch.tensor([-LN2, -LN2]),
        (torch.tensor(TEACHER["a"]) / 2).log_softmax(-1),
        reduction="sum",
        log_target=True,
    )
    expected = 0.3 * LN2 + 0.7 * 4 * float(kl)
    assert learner.training_step(batch, 0).item() == pytest.approx(expected, rel=1e-6)


def test_checkpoints_do_not_hold_what_the_teacher_said(learner):
    checkpoint: dict = {}
    learner.on_save_checkpoint(checkpoint)
    assert set(checkpoint["state_dict"]) == {"system.said"}
    learner.on_load_checkpoint(checkpoint)


def test_what_is_kept_comes_back_exactly(tmp_path):
    torch.manual_seed(0)
    said = {f"u{n}": torch.randn(4).log_softmax(-1).tolist() for n in range(50)}
    write(tmp_path / "teacher.csv", said, ["ang", "hap", "neu", "sad"])
    assert (tmp_path / "teacher.csv").read_text().startswith("utterance_id,logp_ang,logp_hap,")
    found = read(tmp_path / "teacher.csv")
    assert list(found) == sorted(said)
    for i in said:
        assert torch.equal(torch.tensor(found[i]), torch.tensor(said[i]))


@pytest.mark.parametrize("broken", ["utterance_id,logp_a\nu1,x\n", "utterance_id,logp_a\nu1\n"])
def test_a_broken_file_is_named(tmp_path, broken):
    (tmp_path / "teacher.csv").write_text(broken)
    with pytest.raises(InputError, match=r"teacher\.csv .*delete it"):
        read(tmp_path / "teacher.csv")


def plain(*words):
    base = ["data=demo", "encoder/speech=tiny", "encoder/text=tiny", "model=single_gate"]
    return RunConfig.of([*base, *words])


@pytest.mark.parametrize(
    ("word", "says"),
    [
        ("distillation.weight=1.5", "distillation.weight=1.5: expected a number from 0"),
        ("distillation.weight=-0.1", "distillation.weight=-0.1"),
        ("distillation.weight=much", "distillation.weight=much"),
        ("distillation.weight=true", "distillation.weight=True"),
        ("distillation.temperature=0", "distillation.temperature=0: expected a number above 0"),
        ("distillation.temperature=nan", "distillation.temperature=nan"),
    ],
)
def test_impossible_weights_and_temperatures_are_named(word, says):
    with pytest.raises(InputError, match=says):
        plain(word)


def test_whole_numbers_are_numbers():
    found = plain("distillation.weight=1", "distillation.temperature=4").distillation
    assert (found.weight, found.temperature) == (1.0, 4.0)


TAUGHT = {
    "key": "f1", "model": "single_gate", "variant": "single_gate", "ua": 0.5,
    "parameters": {"total": 1, "trainable": 1},
}  # fmt: skip
CLASSES = ("ang", "hap", "neu", "sad")
FOLD = Fold(1, ("u1", "u2"), (), ("u3",))


@pytest.fixture
def teach(tmp_path, result):
    """Writes a finished run that may teach, but for the changes."""

    def write_run(study="big", key="0123456789abcdef", state="finished", **changes):
        named = {"model": "single_gate", "variant": "single_gate", "settings": {}, "seed": 0}
        named |= changes
        made = result(**{
            "key": key, "split_digest": FOLD.digest, "data": "demo", "classes": [*CLASSES],
            "parameters": {"total": 1_234_567, "trainable": 10}, "metrics": {"test/ua": 0.5},
            "system": digest([named["model"], named["variant"], named["settings"]])[:16], **named,
        })  # fmt: skip
        folder = tmp_path / study / key
        folder.mkdir(parents=True)
        (folder / "config.yaml").write_text(plain().as_yaml())
        Status(state).write(folder)
        (folder / "result.json").write_text(json.dumps(made))
        return folder

    return write_run


@pytest.fixture
def ask(tmp_path):
    """The student's configuration with what its teacher turned out to be."""

    def ask(word, *words):
        runs = [f"runs_dir={tmp_path}", "study=students"]
        asked = plain(*runs, *words).changed({"teacher": word})
        return with_teacher(asked, CLASSES, FOLD)

    return ask


def test_a_folder_a_key_and_a_study_name_the_same_run(teach, ask):
    folder = teach()
    words = [str(folder), "big/0123456789abcdef", "0123456789abcdef", "0123", "big", "big:"]
    words += ["big:single_gate", str(folder.parent)]
    found = [ask(word) for word in words]
    assert {one.teacher.folder for one in found} == {str(folder)}
    assert len({run_key(one) for one in found}) == 1
    assert len({system_key(one) for one in found}) == 1


def test_a_trial_of_a_search_teaches_nobody(teach, ask):
    with pytest.raises(InputError, match="its test part is never looked at"):
        ask(str(teach(withheld=True, metrics={"val/ua": 0.5})))


def test_the_key_knows_the_teacher_and_how_it_teaches(teach, ask):
    one, other = str(teach()), str(teach(key="fedcba9876543210"))
    keys = [run_key(ask(one)), run_key(ask(other)), run_key(ask(one, "distillation.weight=0.5"))]
    assert len({*keys, run_key(plain())}) == 4
    # Without a teacher there is nothing that could be distilled.
    assert run_key(plain("distillation.weight=0.5")) == run_key(plain())
    assert not {"teacher", "distillation"} & set(identity(plain()))


def test_folds_with_teachers_of_one_system_are_one_row(teach, ask):
    first = ask(str(teach()))
    second = ask(str(teach(key="fedcba9876543210", fold=2)), "fold=2")
    assert run_key(first) != run_key(second)
    assert system_key(first) == system_key(second) != system_key(plain())
    other_seed = ask(str(teach(key="00", seed=3)))
    assert system_key(other_seed) != system_key(first)


def test_the_row_is_told_by_the_teachers_name_and_size(teach, ask):
    student = ask(str(teach()))
    assert teacher_setting(student) == {"teacher": "single_gate:1.2M"}
    assert teacher_setting(plain()) == {}
    assert settings(["teacher=null", "model.system.dropout=0.1"]) == {"model.system.dropout": "0.1"}
    assert taught(plain()) is None
    assert taught(student) == Teacher(
        key="0123456789abcdef",
        model="single_gate",
        variant="single_gate",
        parameters=Parameters(1_234_567, 10),
        ua=0.5,
    )
    assert student.distillation.model_dump() == {"weight": 0.7, "temperature": 2.0}


def test_a_study_gives_each_fold_and_seed_its_own(teach, ask):
    teach(key="f2", fold=2)
    teach(key="s1", seed=1)
    teach(key="p", protocol="loso6")
    teach(key="open", state="failed")
    teach(key="floor", model="lookup", variant="lookup", floor=True)
    teach(key="student", teacher=TAUGHT, settings={"teacher": "single_gate:1M"})
    teach(key="f1")
    assert ask("big").teacher.key == "f1"
    assert ask("big", "fold=2").teacher.key == "f2"
    assert ask("big", "seed=1").teacher.key == "s1"
    assert ask("big:single_gate teacher=single_gate:1M").teacher.key == "student"
    with pytest.raises(InputError, match=r"no finished run for .*fold 3, seed 0; .*nothing"):
        ask("big", "fold=3")


def test_several_systems_are_told_apart_by_words(teach, ask):
    teach(key="wide", settings={"width": "64"})
    teach(key="narrow", settings={"width": "8"})
    teach(key="step", variant="single_gate direct")
    assert ask("big:single_gate width=8").teacher.key == "narrow"
    assert ask("big:width=64").teacher.key == "wide"
    assert ask("big:single_gate direct").teacher.key == "step"
    with pytest.raises(InputError, match=r"several finished runs for .*'single_gate width=8'"):
        ask("big")
    with pytest.raises(InputError, match=r"no finished run that fits 'caf' for .*width=64'"):
        ask("big:caf")


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"parts": ["a", "b"]}, "is a combination and has no weights; use one of its parts: a, b"),
        ({"model": "lookup", "floor": True}, "is the floor lookup"),
        ({"data": "emodb"}, "was trained on emodb, the student is on demo"),
        ({"classes": ["hap", "ang", "neu", "sad"]}, r"knows the classes \['hap', .*the student"),
        (
            {"split_digest": "other", "fold": 2, "protocol": "loso4_rand10"},
            "is of loso4_rand10 fold 2, seed 0, the student of loso4 fold 1, seed 0",
        ),
        ({"selection": "test"}, "was chosen on the test part"),
        ({"state": "interrupted"}, "is interrupted, not finished"),
    ],
)
def test_runs_that_may_not_teach_are_refused(teach, ask, changes, says):
    folder = teach(**changes)
    with pytest.raises(InputError, match=says):
        ask(str(folder))


def test_what_is_no_run_is_refused(teach, ask):
    teach()
    with pytest.raises(InputError, match=r"teacher=nowhere: .* is no study .*no run 'nowhere'"):
        ask("nowhere")
    with pytest.raises(InputError, match="no study 'small'"):
        ask("small:single_gate")
    with pytest.raises(InputError, match=r"teacher=12: expected a run folder, a key, or a study"):
        ask(12)


def test_a_run_does_not_teach_itself(teach, ask, tmp_path):
    own = run_key(plain(f"runs_dir={tmp_path}"))
    with pytest.raises(InputError, match="is this very run, but for the teacher"):
        ask(str(teach(key=own)))


@pytest.mark.parametrize("floor", ["majority", "lookup"])
def test_what_counts_cannot_be_taught(teach, ask, floor):
    with pytest.raises(InputError, match=f"model {floor} counts and has no loss"):
        ask(str(teach()), f"model={floor}")


def test_a_teacher_that_is_gone_is_taken_from_the_record(teach, ask, tmp_path, capsys):
    folder = teach()
    student = ask("big")
    (tmp_path / "students" / run_key(student)).mkdir(parents=True)
    (tmp_path / "students" / run_key(student) / "config.yaml").write_text(student.as_yaml())
    folder.rename(tmp_path / "moved")
    assert ask("big") == student
    assert "teacher=big is not to be had" in capsys.readouterr().err
    with pytest.raises(InputError, match="no finished run"):
        ask("big", "distillation.weight=0.1")


def test_the_teacher_keeps_its_own_but_for_places_and_devices():
    teacher = plain("data.root=/then", "trainer.precision=bf16-mixed", "augment=speech")
    student = plain("data.root=/now", "data.seed=3", "trainer.accelerator=cpu", "cache_dir=/c")
    today = as_today(teacher, student)
    assert (today.data.given("root"), today.data.given("seed")) == ("/now", 0)
    assert today.trainer.accelerator == "cpu"
    assert today.trainer.precision == "bf16-mixed"
    assert (today.cache_dir, today.trainer.keep_audio_mb) == ("/c", 0)


@pytest.mark.parametrize(
    ("experiment", "words", "teachers"),
    [
        ("distillation", ["data.root=/corpora"], ["null", "li2025:deberta_bilstm attention"]),
        ("distillation_smoke", [], ["null", "li2025_distillation_smoke:model.system.width=64"]),
    ],
)
def test_the_experiments_ask_for_a_teacher_and_for_none(experiment, words, teachers):
    name = f"experiment=li2025/{experiment}"
    with initialize_config_dir(str(conf_dir()), version_base="1.3"):
        cfg = hydra_compose("train", [name, *words], return_hydra_config=True)
    line = f"teacher={cfg.hydra.sweeper.params.teacher}"
    (asked,) = OverridesParser.create().parse_overrides([line])
    jobs = [f"teacher={value}" for value in asked.sweep_string_iterator()]
    found = [RunConfig.of([name, *words, job]) for job in jobs]
    assert [str(one.teacher).replace("None", "null") for one in found] == teachers
    # The students are no cells of the paper's tables, but of the teacher's family.
    assert {one.model.name for one in found} == {"deberta_bilstm"}
    assert all(one.model.papers == () for one in found)
