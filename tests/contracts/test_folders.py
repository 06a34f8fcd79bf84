"""What conf/ and experiments/ may hold, so that both stay small enough to be read."""

import re
from collections import Counter
from pathlib import Path

import pytest
from omegaconf import DictConfig, OmegaConf

from hydra_plugins.sermm_experiments import papers
from sermm.cli.main import VERBS
from sermm.configuration.compose import conf_dir

ROOT = Path(__file__).parents[2]
FILES = sorted(path for path in conf_dir().rglob("*") if path.is_file())
STUDIES = sorted(path for path in (ROOT / "experiments").iterdir() if path.is_dir())
PAGES = [*ROOT.glob("*.md"), *ROOT.glob("docs/*.md"), *ROOT.glob("experiments/*/*.md")]
LINK = re.compile(r"\]\(([^)]+)\)")
MOST_FILES, MOST_PICTURES = 100, 3


def mappings(config):
    """All mappings of a configuration, by the key that holds them."""
    for key, value in config.items_ex(resolve=False):
        if isinstance(value, DictConfig):
            yield str(key), OmegaConf.to_container(value, resolve=False)
            yield from mappings(value)


def test_the_configuration_has_few_files():
    assert len(FILES) <= MOST_FILES


def test_no_map_of_labels_stands_twice():
    maps = [
        tuple(sorted(found.items()))
        for path in FILES
        for key, found in mappings(OmegaConf.load(path))
        if key == "labels"
    ]
    assert len(maps) >= 4
    assert [found for found, n in Counter(maps).items() if n > 1] == []


def test_the_place_of_the_cache_stands_in_one_file():
    assert [path.name for path in FILES if "SERMM_CACHE" in path.read_text()] == ["_corpus.yaml"]
    code = [*(ROOT / "sermm").rglob("*.py"), *(ROOT / "hydra_plugins").rglob("*.py")]
    read = re.compile(r"(environ|getenv).*SERMM_CACHE")
    assert [path for path in code if read.search(path.read_text(encoding="utf-8"))] == []


def test_commands_and_their_configurations_have_the_same_names():
    assert {path.stem for path in conf_dir().glob("[!_]*.yaml")} < set(VERBS)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_the_experiments_that_a_page_names_are_there(page):
    known = {name for name, _ in papers.experiments()}
    known |= {path.stem for path in (conf_dir() / "experiment").glob("[!_]*.yaml")}
    named = re.findall(r"experiment=(\w+(?:/\w+)?)", page.read_text(encoding="utf-8"))
    assert set(named) <= known


@pytest.mark.parametrize("study", STUDIES, ids=lambda study: study.name)
def test_a_study_keeps_its_page_its_results_and_few_pictures(study):
    page = (study / "README.md").read_text(encoding="utf-8")
    files = {str(path.relative_to(study)) for path in study.rglob("*") if path.is_file()}
    results = {name for name in files if Path(name).name == "results.csv"}
    pictures = {name for name in files if name.endswith(".png")}
    linked = {link for link in LINK.findall(page) if (study / link).is_file()}
    assert files == {"README.md"} | results | linked
    assert len(pictures) <= MOST_PICTURES
    # Synthetic speech shows nothing that is worth a picture.
    assert not (pictures and "_smoke" in page)
