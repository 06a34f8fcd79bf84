"""The jobs of a sweep on their way to processes: one for each run, composed once."""

import logging
import sys

import pytest
from hydra import compose, initialize_config_dir
from hydra._internal.config_loader_impl import ConfigLoaderImpl
from hydra.core.global_hydra import GlobalHydra
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import HydraException
from omegaconf import OmegaConf

from sermm.cli import train
from sermm.cli.main import main
from sermm.configuration import compose as composing
from sermm.configuration.compose import BASE, conf_dir, without_hydra
from sermm.configuration.identity import run_key
from sermm.configuration.sweep_loader import SweepLoader
from sermm.configuration.verbs import RunConfig
from sermm.core.failures import TRACEBACK
from sermm.core.records import Fold
from sermm.engine.inputs.corpus import Loaded
from sermm.engine.placing import PlacedRun
from sermm.runs.folder import RunFolder
from sermm.runs.plans import PlannedJob, job_id, read_note, read_plans
from sermm.sweeps.board import Board
from sermm.sweeps.launch import Launch
from sermm.sweeps.study import entries
from sermm.sweeps.sweep import PlannedRun, Sweep

WORDS = ("data=demo", "model=majority")


class Placing(Sweep):
    """Knows where runs are, without a corpus; each comes to its fold."""

    def placed(self, config, words):
        folder = RunFolder(config.study_dir / run_key(config), job_id(words))
        empty = object.__new__(Loaded), object.__new__(Fold)
        return PlacedRun(config, *empty, folder, None)

    def plan(self, config, placed, *, here=False):
        return PlannedRun(config, placed.folder)

    def ended(self, planned, job):
        return float(planned.config.fold)


def test_two_jobs_of_one_run_are_one_job(tmp_path, capsys):
    place = (*WORDS, f"runs_dir={tmp_path}", "study=my s")
    jobs = [
        (*place, "fold=3", "trainer.batch_size=16"),
        (*place, "fold=3", "trainer.batch_size=8", "trainer.accumulate=2"),
        (*place, "fold=3", "trainer.batch_size=16"),
        (*place, "fold=2", "trainer.batch_size=16"),
    ]
    board = Board(len(jobs), 1)
    launch = Launch(Placing(), tmp_path / "my s", jobs, board)
    started = list(launch.jobs(composing.compose("train", words) for words in jobs))
    assert [tuple(job.words) for job in started] == [jobs[0], jobs[3]]
    assert board.total == 2
    for job in started:
        launch.ended(job)
    assert launch.values == [3.0, 3.0, 3.0, 2.0]

    equal, twice = capsys.readouterr().out.splitlines()
    assert equal == (
        "trainer.batch_size=8 trainer.accumulate=2 is the same run as trainer.batch_size=16: "
        "made once"
    )
    assert "'study=my s'" in twice
    assert twice.endswith("fold=3 trainer.batch_size=16: asked for twice, made once")
    assert len(read_plans(tmp_path / "my s").jobs) == 3
    waiting = [entry.job for entry in entries(tmp_path / "my s")]
    assert waiting == [PlannedJob(jobs[0]), PlannedJob(jobs[3])]
    key = run_key(RunConfig.of(jobs[0]))
    assert read_note(tmp_path / "my s", job_id(jobs[1])).key == key


def test_a_job_is_handed_what_its_words_compose_to(tmp_path):
    words = (*WORDS, f"runs_dir={tmp_path}", "study=s", "fold=2")
    launch = Launch(Placing(), tmp_path / "s", [words], Board(1, 1))
    (job,) = launch.jobs([composing.compose("train", words)])
    assert RunConfig.read(job.handed) == RunConfig.of(words)


@pytest.mark.parametrize(
    "words",
    [
        ["model=caf", "fold=2", "seed=3", "trainer.max_epochs=null"],
        ["trainer.max_epochs=7", "model=late_fusion", "encoder/text=tiny", "study='a b'"],
        ["+trainer.limit=2", "~trainer.patience", "++seed=5", "fold=4"],
        ["++protocol.labels=null", "protocol.labels={calm: calm}", "protocol=groups5"],
        ["protocol/validation_rule=random_share", "protocol.validation_rule.share=0.3"],
        ["experiment=demo", "model=lookup", "runs_dir=x", "teacher=null"],
    ],
)
def test_the_jobs_of_a_sweep_are_composed_as_hydra_does(words):
    with initialize_config_dir(str(conf_dir()), **BASE):
        master = compose("train", ["data=demo"], return_hydra_config=True)
        loader = GlobalHydra.instance().config_loader()
        one = without_hydra(loader.load_sweep_config(master, list(words)))
        quick = SweepLoader(loader)
        found = [quick.load_sweep_config(master, words) for _ in range(2)]
    for other in found:
        assert OmegaConf.to_yaml(other) == OmegaConf.to_yaml(one)
    with pytest.raises(Exception, match=r"Key 'nosuch' is not in struct"):
        found[0].nosuch = 1


@pytest.mark.parametrize("word", ["trainer.nosuch=1", "model=nosuch", "+seed=1", "~nosuch"])
def test_what_hydra_refuses_is_refused(word):
    with initialize_config_dir(str(conf_dir()), **BASE):
        master = compose("train", ["data=demo"], return_hydra_config=True)
        loader = GlobalHydra.instance().config_loader()
        said = []
        for one in (loader, SweepLoader(loader)):
            with pytest.raises(HydraException) as refused:
                one.load_sweep_config(master, ["fold=2", word])
            said.append(str(refused.value))
    assert said[0] == said[1]


def counted(monkeypatch, owner, name):
    """Calls of a function are counted from here on."""
    calls, real = [], getattr(owner, name)
    monkeypatch.setattr(owner, name, lambda *a, **k: calls.append(a) or real(*a, **k))
    return calls


def test_files_are_read_once_for_all_jobs_that_differ_in_values(monkeypatch):
    with initialize_config_dir(str(conf_dir()), **BASE):
        master = compose("train", ["data=demo"], return_hydra_config=True)
        quick = SweepLoader(GlobalHydra.instance().config_loader())
        calls = counted(monkeypatch, ConfigLoaderImpl, "load_configuration")
        for model in ("majority", "lookup"):
            for fold in range(1, 6):
                quick.load_sweep_config(master, [f"model={model}", f"fold={fold}"])
        # What the sweeper asks of it beside.
        assert OverridesParser.create(config_loader=quick)
        assert "caf" in quick.get_group_options("model")
    assert len(calls) == 2


@pytest.mark.parametrize(
    ("words", "begun"),
    [
        (["fold=1,2", "-m"], 1),
        (["experiment=demo"], 1),
        (["fold=2"], 0),
        (["-m", "fold=1,2", "hydra/launcher=basic"], 0),
    ],
)
def test_one_composition_tells_all_that_is_to_be_known_of_a_sweep(
    words, begun, tmp_path, monkeypatch
):
    given = []
    monkeypatch.setattr(train, "launch", lambda arguments, job: given.extend(arguments))
    starts = []
    monkeypatch.setattr(train, "prepare", lambda: starts.append(True))
    calls = counted(monkeypatch, composing, "hydra_compose")
    train.run([*WORDS, f"runs_dir={tmp_path}", *words])
    assert len(calls) == 1
    assert len(starts) == begun
    assert ("-m" in given) is (len(words) > 1 or bool(begun))


def test_a_process_of_the_pool_composes_nothing(tmp_path, monkeypatch):
    words = [*WORDS, f"runs_dir={tmp_path}", "fold=2"]
    handed = RunConfig.of(words).plain
    made = []
    # What the process of a job may set for good.
    monkeypatch.setenv(TRACEBACK, "1")
    monkeypatch.setattr(logging.root, "handlers", [])
    monkeypatch.setattr(logging.root, "level", logging.root.level)
    monkeypatch.setattr(Sweep, "only", lambda self, *given: made.append((*given, [*sys.argv])))
    calls = counted(monkeypatch, ConfigLoaderImpl, "load_configuration")
    assert train.execute(words, handed) == 0
    assert not calls
    ((config, given, argv),) = made
    assert config.plain == handed
    assert given == words
    assert argv[1:] == [*words, "hydra.mode=RUN"]


def test_an_experiments_own_sweep_is_read_before_anything_starts(tmp_path, capsys):
    experiment = "# @package _global_\nhydra: {sweeper: {params: {fold: 'range(1,3),4'}}}\n"
    (tmp_path / "experiment").mkdir()
    (tmp_path / "experiment" / "mine.yaml").write_text(experiment)
    words = ["-m", *WORDS, f"runs_dir={tmp_path}", "experiment=mine"]
    words.append(f"hydra.searchpath=[file://{tmp_path}]")
    assert main(["train", *words]) == 2
    assert "write fold=1,2,4" in capsys.readouterr().err
