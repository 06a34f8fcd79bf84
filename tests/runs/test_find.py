"""What a word names, the same for every verb."""

import pytest

from sermm.core.errors import InputError
from sermm.engine.combination.choice import chosen
from sermm.runs.find import find_run, named
from sermm.runs.folder import RunFolder


@pytest.fixture
def runs(tmp_path, a_run):
    """Study first: caf of two widths and a floor; study second: one run."""
    one = [[2, 0], [0, 2]]
    for fold in (1, 2):
        for width in ("8", "64"):
            settings = {"width": width, "model": "caf"}
            about = {"key": f"{width}f{fold}aa", "system": width, "settings": settings}
            a_run(tmp_path / "first", "caf", one, fold=fold, variant="caf own", **about)
    a_run(tmp_path / "first", "majority", one, key="floor0")
    a_run(tmp_path / "second", "linear", one, key="0123456789abcdef")
    return tmp_path


def test_runs_are_found_by_folder_key_or_first_digits(tmp_path):
    for name in ("a/0123", "b/0199"):
        RunFolder(tmp_path / name).start("a: 1")
    assert find_run("0123", tmp_path) == tmp_path / "a/0123"
    assert find_run("019", tmp_path) == tmp_path / "b/0199"
    assert find_run(str(tmp_path / "a/0123"), tmp_path) == tmp_path / "a/0123"
    with pytest.raises(InputError, match="several"):
        find_run("01", tmp_path)
    with pytest.raises(InputError, match="no run 'ff'"):
        find_run("ff", tmp_path)


@pytest.mark.parametrize(
    "word",
    [
        "second/0123456789abcdef", "second/0123", "0123", "second", "second:", "second:linear",
        "second:linear fold=1 seed=1", "second:model=linear",
    ],
)  # fmt: skip
def test_every_word_for_one_run(runs, word):
    expected = runs / "second" / "0123456789abcdef"
    assert find_run(word, runs) == expected
    assert set(chosen(word, runs).folders) == {expected}


def test_a_path_names_a_run_and_its_first_digits_do(runs, monkeypatch):
    monkeypatch.chdir(runs)
    for word in ("second/0123456789abcdef", "./second/012", str(runs / "second" / "012")):
        assert find_run(word, runs / "elsewhere").resolve().name == "0123456789abcdef"


@pytest.mark.parametrize("word", ["first:caf width=8 fold=2", "first:caf own fold=2 width=8"])
def test_settings_and_place_tell_runs_apart(runs, word):
    assert find_run(word, runs) == runs / "first" / "8f2aa"


def test_a_floor_is_meant_only_if_it_is_named(runs):
    assert find_run("first:majority", runs) == runs / "first" / "floor0"
    assert named("first", runs).wanted == ""
    assert all("floor" not in f.name for f in chosen("first:width=8", runs).folders)


def test_those_that_fit_are_listed_where_several_do(runs):
    with pytest.raises(InputError, match="has several finished runs that fit") as error:
        find_run("first:caf width=8", runs)
    for fold in (1, 2):
        assert f"'caf own model=caf width=8 fold={fold} seed=1'" in str(error.value)
    assert "width=64" not in str(error.value)


def test_those_that_are_there_are_listed_where_none_fits(runs):
    with pytest.raises(InputError, match=r"no finished run that fits 'cmgi'; there it has: 'caf"):
        find_run("first:cmgi", runs)
    with pytest.raises(InputError, match=r"no study 'third' in .*\(first, second\)"):
        find_run("third:caf", runs)
    with pytest.raises(InputError, match=r"'zz' is no study in .*\(first, second\), .*no run 'zz'"):
        find_run("zz", runs)


def test_a_combination_has_no_weights_and_is_not_what_a_study_means(runs, a_run):
    a_run(runs / "second", "both", [[2, 0], [0, 2]], key="c", parts=["a", "b"], system="c")
    assert find_run("second", runs).name == "0123456789abcdef"


def test_a_row_that_the_report_prints_is_that_row(tmp_path, a_run):
    one = [[2, 0], [0, 2]]
    a_run(tmp_path / "s", "caf", one, key="plain", system="p", settings={})
    a_run(tmp_path / "s", "caf", one, key="wide", system="w", settings={"width": "64"})
    assert find_run("s:caf", tmp_path).name == "plain"
    assert find_run("s:caf width=64", tmp_path).name == "wide"
