"""What `sermm explain` says of wrong use, before anything is loaded, and how it prints."""

import pytest

from sermm.cli.explain import USAGE, run, text
from sermm.cli.main import VERBS, main

FIGURES = [
    {"name": "speech > 4 kHz", "value": 0.25, "said": "mean f", "paper": 0.67},
    {"name": "negative words", "value": None, "said": "none here", "paper": 0.58},
]
RECORD = {
    "run": "0123456789abcdef",
    "model": "coattention",
    "data": "demo",
    "protocol": "loso4",
    "fold": 1,
    "utterance": "a1",
    "part": "test",
    "label": "ang",
    "predicted": "hap",
    "probabilities": {"ang": 0.25, "hap": 0.75},
    "remarks": ["only its first 15.00 s are heard"],
    "figures": "defined by sermm, not by the paper",
    "maps": [
        {
            "query": {"stream": "frame", "positions": 3},
            "key": {"stream": "text", "positions": 2, "tokens": ["[CLS]", "no"]},
            "relevance": [1.0, None],
            "figures": FIGURES,
        },
        {
            "query": {"stream": "text", "positions": 2},
            "key": {"stream": "frame", "positions": 3},
            "figures": [],
        },
    ],
    "gates": [{"stream": {"stream": "speech"}, "mean": [0.25, 0.75]}],
    "folder": "somewhere",
}


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ([], "give a run, and utterance=ID or one file"),
        (["run"], "give a run, and utterance=ID or one file"),
        (["run", "a.wav", "b.wav"], "give a run, and utterance=ID or one file"),
        (["run", "a.wav", "utterance=x"], "give a run, and utterance=ID or one file"),
        (["run", "--utterance", "x"], "write utterance=... without dashes in place of --utterance"),
        (["run", "--utterance=x"], "write utterance=... without dashes"),
        (["run", "utterance=x", "text=no"], "text= belongs to a file"),
        (["run", "utterance=x", "format=html"], "format must be table or json"),
        (["run", "utterance=x", "head=3"], "unknown key head"),
        (["run", "utterance=x", "lexicon=/nowhere/list"], "lexicon=/nowhere/list cannot be read"),
        (["no-such-run", "utterance=x"], "no run 'no-such-run'"),
    ],
)
def test_wrong_use(words, says, capsys, tmp_path):
    assert main(["explain", *words, f"runs_dir={tmp_path}"]) == 2
    assert says in capsys.readouterr().err


def test_the_table_has_the_figures_and_whose_definition_they_are():
    lines = text(RECORD).splitlines()
    assert lines[0] == "coattention (0123456789abcdef) on demo, loso4 fold 1: a1 (test part)"
    assert lines[1] == "label ang, predicted hap:  ang 0.250  hap 0.750"
    assert lines[2] == "note: only its first 15.00 s are heard"
    told = "\n".join(lines)
    assert "frame looks at text: 3 x 2" in told
    assert "speech > 4 kHz         0.25  mean f" in told
    assert "negative words            –  none here" in told
    assert "defined by sermm, not by the paper; Li 2025 prints 0.67, 0.58" in told
    assert "[CLS] 1.00  no –" in told
    assert "gate of speech: mean 0.50" in told
    assert lines[-1] == "written to somewhere"


def test_a_file_has_neither_part_nor_label():
    lines = text({**RECORD, "part": None, "label": None}).splitlines()
    assert lines[0].endswith("a1 (a file)")
    assert lines[1].startswith("predicted hap")


def test_help_says_how(capsys):
    assert "explain" in VERBS
    assert main(["explain", "--help"]) == 0
    assert "sermm explain RUN utterance=ID" in capsys.readouterr().out
    assert USAGE.startswith("sermm explain RUN utterance=ID")
    assert callable(run)
