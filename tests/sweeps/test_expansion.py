import pytest

from sermm.core.errors import InputError
from sermm.sweeps.expansion import expand


def words(jobs):
    return [job.words for job in jobs]


def test_commas_and_ranges_are_multiplied():
    found = expand(["model=late_fusion,majority", "fold=range(1,3)", "study=s"], multirun=False)
    assert words(found) == [
        (f"model={model}", f"fold={fold}", "study=s")
        for model in ("late_fusion", "majority")
        for fold in (1, 2)
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
