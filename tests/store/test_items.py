import json

import pytest

from sermm.core.errors import InputError
from sermm.store import items
from sermm.store.items import ItemStore

IDENTITY = {"kind": "fake", "weights": "folder:1"}


def store_at(folder, every_s=0.0):
    return ItemStore(folder, "texts", "set recogniser.name=another", every_s)


def begun(folder, every_s=0.0):
    store = store_at(folder, every_s)
    store.begin(IDENTITY, {"id": "x"})
    return store


def test_what_is_added_is_on_the_disk_at_once(tmp_path):
    store = begun(tmp_path / "s")
    store.add({"a": "one", "b": ""})
    store.add({"c": "drei ü"})
    again = store_at(tmp_path / "s")
    assert again.items == {"a": "one", "b": "", "c": "drei ü"}
    assert (again.identity, again.asked) == (IDENTITY, {"id": "x"})
    assert len(list((tmp_path / "s").glob("piece-*"))) == 1


def test_items_are_any_json_and_written_after_a_while_or_when_flushed(tmp_path, monkeypatch):
    now = [0.0]
    monkeypatch.setattr(items.time, "monotonic", lambda: now[0])
    store = begun(tmp_path, every_s=10.0)
    store.add({"a": {"spans": [["GO", 0.1, 0.25]]}})
    assert store.items["a"] == {"spans": [["GO", 0.1, 0.25]]}
    assert store_at(tmp_path).items == {}
    now[0] = 10.0
    store.add({"b": []})
    assert store_at(tmp_path).items == store.items
    store.add({"c": None})
    store.flush()
    assert store_at(tmp_path).items == {"a": {"spans": [["GO", 0.1, 0.25]]}, "b": [], "c": None}


def test_reading_touches_nothing(tmp_path):
    store = store_at(tmp_path / "none")
    assert (store.items, store.identity) == ({}, None)
    assert not (tmp_path / "none").exists()


def test_two_writers_keep_what_the_other_has(tmp_path):
    one, two = begun(tmp_path), begun(tmp_path)
    one.add({"a": "1"})
    two.add({"b": "2"})
    one.add({"c": "3"})
    assert store_at(tmp_path).items == {"a": "1", "b": "2", "c": "3"}
    two.refresh()
    assert two.items == {"a": "1", "b": "2", "c": "3"}


def test_a_full_piece_is_left_alone(tmp_path, monkeypatch):
    monkeypatch.setattr(items, "_ITEMS_A_PIECE", 2)
    store = begun(tmp_path)
    for number in range(5):
        store.add({str(number): "x"})
    sizes = sorted(len(json.loads(p.read_text())["texts"]) for p in tmp_path.glob("piece-*"))
    assert sizes == [1, 2, 2]
    assert len(store_at(tmp_path).items) == 5


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
    store = store_at(tmp_path)
    assert store.items == {"b": "two"}
    assert list(store.damaged) == [piece.name]
    assert str(piece) in store.damaged[piece.name]
    store.begin(IDENTITY, {})
    assert not piece.exists()
    store.add({"a": "one"})
    assert store_at(tmp_path).damaged == {}


def test_a_newer_format_is_refused(tmp_path):
    begun(tmp_path).add({"a": "one"})
    for path in (next(tmp_path.glob("piece-*")), tmp_path / "source.json"):
        content = json.loads(path.read_text())
        path.write_text(json.dumps(content | {"version": 2}))
        with pytest.raises(InputError, match="written by a newer sermm"):
            store_at(tmp_path)
        path.write_text(json.dumps(content))


def test_another_recogniser_is_refused_with_what_differs(tmp_path):
    begun(tmp_path)
    with pytest.raises(InputError, match=r"weights folder:1 there, folder:2 asked .*recogniser.na"):
        store_at(tmp_path).begin(IDENTITY | {"weights": "folder:2"}, {})


def test_a_damaged_source_is_refused(tmp_path):
    begun(tmp_path)
    (tmp_path / "source.json").write_text("{")
    with pytest.raises(InputError, match=r"source\.json: damaged"):
        store_at(tmp_path)


def test_texts_of_unknown_origin_are_refused(tmp_path):
    begun(tmp_path).add({"a": "one"})
    (tmp_path / "source.json").unlink()
    with pytest.raises(InputError, match=r"has texts but no source\.json"):
        store_at(tmp_path)
