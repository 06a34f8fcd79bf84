"""Pictures for a column of print: of any shape, with nothing cut off and nothing too small."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.text import Text

from sermm.configuration.verbs import RunConfig
from sermm.core.batch import Batch
from sermm.encoders.base import Piece
from sermm.engine.assembly.restore import Restored
from sermm.explain.axes import Axis
from sermm.explain.explanation import Explained, Gate, Map
from sermm.explain.page import write
from sermm.explain.pictures import draw_attention, draw_gate
from sermm.explain.record import record
from sermm.explain.sheet import DPI, WIDTH_INCHES, Sheet
from sermm.explain.sound import sound_of
from sermm.explain.subject import Subject
from sermm.models.base import System
from sermm.runs.folder import RunFolder

TEXT = "No, this unbearable Donaudampfschifffahrt $a$ \\b ends!"

CONFIG = RunConfig.of(["data=demo"])


def tokens(n):
    words = [(m, TEXT.index(m)) for m in ("No", "unbearable", "Donaudampfschifffahrt", "!")]
    pieces = [Piece(word, (at, at + len(word))) for word, at in words][:n]
    return Axis("text", n, (*pieces, *[Piece("▁$")] * (n - len(pieces))))


def frames(n, seconds=0.02):
    starts = seconds * np.arange(n)
    return Axis("frame", n, times=np.stack([starts, starts + seconds], axis=1))


def gaps():
    return Axis("word", 3, times=np.array([[0.05, 0.3], [0.29, 0.5], [0.7, 1.0]]))


def numbers(n):
    return Axis("bare", n)


def weights(n, m):
    drawn = np.random.default_rng(0).random((n, m)) if m else np.zeros((n, 0))
    return drawn / drawn.sum(1, keepdims=True) if m else drawn


@pytest.fixture
def explained(a_result):
    """Makes all that is shown of an utterance."""

    def explained(maps=(), gates=(), seconds=1.0, name="a_rather_long_name_of_an_utterance_" * 3):
        result = a_result(key="k", model="coattention", data="demo", seed=0)
        restored = Restored(RunFolder(Path("nowhere")), CONFIG, result, System())
        generator = torch.Generator().manual_seed(0)
        waveform = 0.1 * torch.randn(round(16000 * seconds), generator=generator)
        return Explained(
            restored,
            Subject(name, "f", Batch(("a",)), waveform, TEXT, seconds, "ang", "train"),
            sound_of(waveform),
            {"ang": 0.25, "hap": 0.75},
            tuple(maps),
            tuple(gates),
            frozenset({"no", "unbearable"}),
        )

    return explained


AXES = {
    "frames-tokens": (frames(50), tokens(6)),
    "tokens-frames": (tokens(6), frames(50)),
    "frames-many": (frames(50), tokens(128)),
    "words-tokens": (gaps(), tokens(4)),
    "numbers-tokens": (numbers(20), tokens(6)),
    "frames-frames": (frames(50), frames(50)),
    "tokens-tokens": (tokens(6), tokens(6)),
    "many-many": (tokens(128), tokens(128)),
    "one-one": (frames(1), tokens(1)),
    "nothing": (frames(5), Axis("text", 0, ())),
}


@pytest.fixture
def figures(monkeypatch):
    """The figures that are drawn, instead of their files."""
    drawn = []
    monkeypatch.setattr(Sheet, "write", lambda self, path: drawn.append(self.figure))
    return drawn


def look(figure):
    """Every text lies within the figure, and is large enough to be read in print."""
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    width, height = canvas.get_width_height()
    assert figure.get_figwidth() == WIDTH_INCHES
    assert figure.get_figheight() < 10
    shown = [t for t in figure.findobj(Text) if t.get_visible() and t.get_text()]
    assert shown
    for text in shown:
        box = text.get_window_extent(canvas.get_renderer())
        # Ticks beyond the limits of an axis are not drawn, and have no place.
        if text.axes is not None and not text.axes.get_tightbbox().overlaps(box):
            continue
        assert text.get_fontsize() >= 7
        assert box.x0 > -2, text
        assert box.x1 < width + 2, text
        assert box.y0 > -2, text
        assert box.y1 < height + 2, text
    return {text.get_text() for text in shown}


@pytest.mark.parametrize("axes", AXES)
def test_attention_of_any_shape(axes, figures, explained):
    query, key = AXES[axes]
    one = Map(query, key, weights(query.n, key.n))
    draw_attention(Path("unused"), explained([one]), one)
    texts = look(figures[0])
    assert any("defined by sermm, not by the paper" in text for text in texts)
    if key.n:
        assert any(f"1/{key.n} =" in text for text in texts)
    else:
        assert "nothing to look at" in texts


@pytest.mark.parametrize("axis", [frames(50), gaps(), numbers(20), tokens(6), tokens(128)])
def test_gates_of_any_shape(axis, figures, explained):
    mean = np.linspace(0.2, 0.8, axis.n)
    gate = Gate(axis, mean, mean - 0.1, mean + 0.1)
    draw_gate(Path("unused"), explained(gates=[gate]), gate)
    assert any("10–90 %" in text for text in look(figures[0]))


def test_negative_words_stand_out(figures, explained):
    one = Map(frames(9), tokens(6), weights(9, 6))
    draw_attention(Path("unused"), explained([one]), one)
    bold = {t.get_text() for t in figures[0].findobj(Text) if t.get_fontweight() == "bold"}
    assert bold == {"No", "unbearable"}


@pytest.mark.parametrize("seconds", [0.0, 0.005, 0.1])
def test_a_blink(seconds, figures, explained):
    one = Map(frames(1), tokens(3), weights(1, 3))
    draw_attention(Path("unused"), explained([one], seconds=seconds), one)
    look(figures[0])


def test_what_is_written(tmp_path, explained):
    maps = [Map(frames(9), tokens(3), weights(9, 3)), Map(tokens(3), frames(9), weights(3, 9))]
    gate = Gate(frames(9), *(np.full(9, v) for v in (0.5, 0.25, 0.75)))
    it = explained(maps, [gate], name="<b>&</b>")
    told = write(it, tmp_path)
    assert told == record(it)
    assert json.loads((tmp_path / "explanation.json").read_text()) == told
    assert {path.name for path in tmp_path.iterdir()} == {
        "attention.png",
        "attention-text-to-frame.png",
        "gate-frame.png",
        "attention.npz",
        "index.html",
        "explanation.json",
    }
    head = (tmp_path / "attention.png").read_bytes()[:24]
    assert int.from_bytes(head[16:20], "big") == int(WIDTH_INCHES * DPI)
    page = (tmp_path / "index.html").read_text()
    assert "<b>&</b>" not in page
    assert "The run was trained on this utterance" in page
    expected = maps[0].weights.mean(0) / maps[0].weights.mean(0).max()
    assert told["maps"][0]["relevance"] == pytest.approx(expected.tolist(), abs=1e-6)
