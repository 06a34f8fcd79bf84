import pytest

from sermm.configuration.verbs import RunConfig
from sermm.core.errors import InputError
from sermm.sweeps.expansion import distinct, expand


def words(jobs):
    return [job.words for job in jobs]


def test_commas_and_ranges_are_multiplied():
    found = expand(["model=late_fusion,majority", "fold=range(1,3)", "study=s"], multirun=False)
    assert words(found) == [
        (f"model={model}", f"fold={fold}", "study=s")
        for model in ("late_fusion", "majority")
        for fold in (1, 2)
    ]


def test_a_glob_is_the_names_of_a_group():
    found = expand(["model=glob([lo*,l*],exclude=li*)", "encoder/text=glob(ti*)"], multirun=True)
    assert words(found) == [
        (f"model={model}", "encoder/text=tiny") for model in ("late_fusion", "logistic", "lookup")
    ]


def test_words_without_a_sweep_are_one_run_as_typed():
    assert words(expand(["fold=2", "hydra/launcher=basic"], multirun=False)) == [("fold=2",)]


def test_an_experiment_can_be_the_sweep():
    found = expand(["experiment=demo", "seed=3"], multirun=False)
    assert len(found) == 30
    assert found[0].words == ("model=speech_only", "fold=1", "experiment=demo", "seed=3")


def test_what_is_typed_stands_above_the_experiments_sweep():
    found = expand(["experiment=demo", "fold=2", "model=majority"], multirun=True)
    assert words(found) == [("model=majority", "fold=2", "experiment=demo")]


@pytest.mark.parametrize("word", ["model=nosuch,majority", "fold=1,", "fold=interval(1,2)"])
def test_what_cannot_be_read_is_refused(word):
    with pytest.raises(InputError, match=r"given: |fold=1, cannot be read"):
        expand([word], multirun=True)


def test_equal_words_are_one_job():
    found = expand(["seed=0,0", "fold=1,2,1"], multirun=False)
    assert words(found) == [("seed=0", "fold=1"), ("seed=0", "fold=2")]


def test_jobs_of_one_key_are_one_run():
    """Devices and batch enter a key as their product."""
    jobs = expand(
        ["data=demo", "model=majority", "trainer.devices=1,2", "trainer.batch_size=8,16"],
        multirun=False,
    )
    found, lines = distinct(jobs, [RunConfig.of(job.words) for job in jobs])
    assert [job.words[2:] for job in found] == [
        ("trainer.devices=1", "trainer.batch_size=8"),
        ("trainer.devices=1", "trainer.batch_size=16"),
        ("trainer.devices=2", "trainer.batch_size=16"),
    ]
    (line,) = lines
    same = "trainer.devices=2 trainer.batch_size=8 is the same run as trainer.devices=1"
    assert line == f"{same} trainer.batch_size=16: made once"


def test_jobs_of_two_studies_are_two_runs():
    jobs = expand(["data=demo", "model=majority", "study=a,b"], multirun=False)
    assert distinct(jobs, [RunConfig.of(job.words) for job in jobs]) == (jobs, ())
