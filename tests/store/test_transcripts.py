import json

import pytest

from sermm.core.errors import InputError
from sermm.store import transcripts as transcript_store
from sermm.store.transcripts import TranscriptStore

IDENTITY = {"kind": "fake", "weights": "folder:1"}


def begun(folder):
    store = TranscriptStore(folder)
    store.begin(IDENTITY, {"id": "x"})
    return store


def test_what_is_added_is_on_the_disk_at_once(tmp_path):
    store = begun(tmp_path / "s")
    store.add({"a": "one", "b": ""})
    store.add({"c": "drei ü"})
    again = TranscriptStore(tmp_path / "s")
    assert again.texts == {"a": "one", "b": "", "c": "drei ü"}
    assert (again.identity, again.asked) == (IDENTITY, {"id": "x"})
    assert len(list((tmp_path / "s").glob("piece-*"))) == 1


def test_reading_touches_nothing(tmp_path):
    store = TranscriptStore(tmp_path / "none")
    assert (store.texts, store.identity) == ({}, None)
    assert not (tmp_path / "none").exists()


def test_two_writers_keep_what_the_other_has(tmp_path):
    one, two = begun(tmp_path), begun(tmp_path)
    one.add({"a": "1"})
    two.add({"b": "2"})
    one.add({"c": "3"})
    assert TranscriptStore(tmp_path).texts == {"a": "1", "b": "2", "c": "3"}
    two.refresh()
    assert two.texts == {"a": "1", "b": "2", "c": "3"}


def test_a_full_piece_is_left_alone(tmp_path, monkeypatch):
    monkeypatch.setattr(transcript_store, "_TEXTS_A_PIECE", 2)
    store = begun(tmp_path)
    for number in range(5):
        store.add({str(number): "x"})
    sizes = sorted(len(json.loads(p.read_text())["texts"]) for p in tmp_path.glob("piece-*"))
    assert sizes == [1, 2, 2]
    assert len(TranscriptStore(tmp_path).texts) == 5


@pytest.mark.parametrize("how", ["truncated", "letter", "empty", "not UTF-8", "other JSON"])
def test_a_damaged_piece_is_named_missing_and_replaced(tmp_path, how):
    begun(tmp_path).add({"a": "one"})
    begun(tmp_path).add({"b": "two"})
    piece = next(p for p in tmp_path.glob("piece-*") if b"one" in p.read_bytes())
    content = piece.read_bytes()
    changed = {
        "truncated": content[:-20],
        "letter": content.replace(b"one", b"ond"),
        "empty": b"",
        "not UTF-8": content.replace(b"one", b"\xff\xfe"),
        "other JSON": b"[]",
    }
    piece.write_bytes(changed[how])
    store = TranscriptStore(tmp_path)
    assert store.texts == {"b": "two"}
    assert list(store.damaged) == [piece.name]
    assert str(piece) in store.damaged[piece.name]
    store.begin(IDENTITY, {})
    assert not piece.exists()
    store.add({"a": "one"})
    assert TranscriptStore(tmp_path).damaged == {}


def test_a_newer_format_is_refused(tmp_path):
    begun(tmp_path).add({"a": "one"})
    for path in (next(tmp_path.glob("piece-*")), tmp_path / "source.json"):
        content = json.loads(path.read_text())
        path.write_text(json.dumps(content | {"version": 2}))
        with pytest.raises(InputError, match="written by a newer sermm"):
            TranscriptStore(tmp_path)
        path.write_text(json.dumps(content))


def test_another_recogniser_is_refused_with_what_differs(tmp_path):
    begun(tmp_path)
    with pytest.raises(InputError, match=r"weights folder:1 there, folder:2 asked .*recogniser.na"):
        TranscriptStore(tmp_path).begin(IDENTITY | {"weights": "folder:2"}, {})


def test_a_damaged_source_is_refused(tmp_path):
    begun(tmp_path)
    (tmp_path / "source.json").write_text("{")
    with pytest.raises(InputError, match=r"source\.json: damaged"):
        TranscriptStore(tmp_path)


def test_texts_of_unknown_origin_are_refused(tmp_path):
    begun(tmp_path).add({"a": "one"})
    (tmp_path / "source.json").unlink()
    with pytest.raises(InputError, match=r"has transcripts but no source\.json"):
        TranscriptStore(tmp_path)
