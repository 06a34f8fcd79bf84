"""Writes an explanation: pictures, numbers, and a page that needs no other file.

Sound and pictures are in the page itself (base64), so that it can be sent and opened anywhere, with
no network. The numbers are written last: where `explanation.json` is, everything is.
"""

import base64
import io
from pathlib import Path
from typing import Any

import soundfile
from jinja2 import Environment, PackageLoader, StrictUndefined

from sermm.core.figures import fixed
from sermm.core.files import write_json, write_text
from sermm.data.audio import SAMPLE_RATE_HZ
from sermm.explain.axes import Axis
from sermm.explain.explanation import Explained, Gate, Map
from sermm.explain.measures import NOTICE
from sermm.explain.pictures import draw_attention, draw_gate
from sermm.explain.record import WEIGHTS, record, write_weights
from sermm.explain.sound import Sound

_PARTS = {"train": "training", "val": "validation", "test": "test"}


def write(explained: Explained, folder: Path) -> dict[str, Any]:
    """Writes `attention.png` and the other pictures, `index.html`, and the numbers last.

    Args:
        explained: the utterance.
        folder: made if it does not exist; an earlier explanation there is replaced.

    Returns:
        What `explanation.json` holds.
    """
    content = record(explained)
    pictures = draw(explained, folder)
    write_text(folder / "index.html", _html(explained, content, pictures))
    write_weights(explained, folder / WEIGHTS)
    write_json(folder / "explanation.json", content)
    return content


def draw(explained: Explained, folder: Path) -> dict[str, Path]:
    """Writes the pictures; the first map is `attention.png`, others are named by their streams.

    Returns:
        Their files by the names of maps and of gated streams.
    """
    files = {}
    for number, one in enumerate(explained.maps):
        files[one.name] = folder / (f"attention-{one.name}.png" if number else "attention.png")
        draw_attention(files[one.name], explained, one)
    for gate in explained.gates:
        files[_gate_name(gate)] = folder / f"{_gate_name(gate)}.png"
        draw_gate(files[_gate_name(gate)], explained, gate)
    return files


def _html(explained: Explained, content: dict[str, Any], pictures: dict[str, Path]) -> str:
    """The page; `content` is what `explanation.json` holds, so that both show the same numbers."""
    environment = Environment(
        loader=PackageLoader("sermm.explain", "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["fixed"] = fixed
    embedded = {name: _base64(path.read_bytes()) for name, path in pictures.items()}
    return environment.get_template("explanation.html").render(
        record=content,
        words=_PARTS,
        notice=NOTICE,
        audio=_base64(wav_of(explained.sound)),
        maps=[
            {**_shown(one, numbers, explained), "picture": embedded[one.name]}
            for one, numbers in zip(explained.maps, content["maps"], strict=True)
        ],
        gates=[
            {**_shown_gate(gate), "picture": embedded[_gate_name(gate)]} for gate in explained.gates
        ],
    )


def _shown(one: Map, numbers: dict[str, Any], explained: Explained) -> dict[str, Any]:
    """What the page shows of a map: relevance of the tokens looked at, or how sharp they look."""
    title = f"Where {one.query.stream} looks in {one.key.stream}"
    looked_at = one.key.pieces is not None
    axis = one.key if looked_at else one.query
    what = "relevance" if looked_at else "sharpness"
    return {
        "title": title,
        "alt": f"{title}: attention of {one.query.n} positions to {one.key.n}, mean over heads",
        "figures": numbers["figures"],
        "tokens_say": what,
        "tokens": _tokens(axis, numbers[what], explained),
    }


def _tokens(axis: Axis, values: list[float | None], explained: Explained) -> list[dict[str, Any]]:
    """What the page shows of each position: its token, its value (None: not defined), its mark."""
    negative = explained.negative_tokens(axis)
    return [
        {"text": piece.text, "value": value, "negative": number in negative}
        for number, (piece, value) in enumerate(zip(axis.pieces or (), values, strict=False))
    ]


def _shown_gate(gate: Gate) -> dict[str, str]:
    title = f"Gate of {gate.axis.stream}"
    return {
        "title": title,
        "alt": f"{title}: mean over channels {fixed(gate.mean.mean(), 2)}, from "
        f"{fixed(gate.mean.min(), 2)} to {fixed(gate.mean.max(), 2)} over {gate.axis.n} "
        "positions; 1 = its own states pass",
    }


def _gate_name(gate: Gate) -> str:
    """As its picture is called."""
    return f"gate-{gate.axis.stream}"


def wav_of(sound: Sound) -> bytes:
    """The audio as a file of 16 bits, 16 kHz."""
    buffer = io.BytesIO()
    soundfile.write(buffer, sound.waveform, SAMPLE_RATE_HZ, format="WAV", subtype="PCM_16")
    return buffer.getvalue()


def _base64(content: bytes) -> str:
    return base64.b64encode(content).decode("ascii")
