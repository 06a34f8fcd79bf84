import json
import os
import pickle

import pytest
import torch
from safetensors import safe_open

from sermm.core.errors import InputError
from sermm.store import index as feature_index
from sermm.store.features import FeatureStore
from sermm.store.index import STORE_FILE
from sermm.store.shards import crc
from sermm.store.upkeep import verify

DESCRIPTION = {"dtype": "float32", "encoder": "tiny", "layers": [0, 1]}


def key(number):
    return f"{number:064x}"


def values(number, length=3):
    return torch.arange(length * 6, dtype=torch.float32).view(length, 2, 3) + 100 * number


def fill(root, numbers, description=DESCRIPTION, **limits):
    store = FeatureStore(root, description)
    with store.writing(**limits) as writer:
        writer.add([(key(n), values(n, n % 4)) for n in numbers])
    return store


def shard_paths(store):
    return sorted(store.folder.glob("*.safetensors"))


def flip(path, place):
    """Flips a bit; the time of change moves on, as any write would have it."""
    raw = bytearray(path.read_bytes())
    raw[place] ^= 4
    path.write_bytes(raw)
    later = path.stat().st_mtime_ns + 1_000_000
    os.utime(path, ns=(later, later))


def flip_silently(path, place):
    before = path.stat()
    flip(path, place)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


@pytest.mark.parametrize("name", ["float32", "float16", "bfloat16"])
def test_what_was_added_is_read_in_any_order(tmp_path, name):
    dtype = getattr(torch, name)
    store = fill(tmp_path, range(6), {**DESCRIPTION, "dtype": name}, shard_bytes=80)
    assert len(shard_paths(store)) > 1
    for one in (store, FeatureStore(tmp_path, {**DESCRIPTION, "dtype": name})):
        assert (len(one), one.shape, one.dtype) == (6, (2, 3), dtype)
        ragged = one.read([key(n) for n in (3, 0, 5, 3)])
        assert ragged.sizes == [3, 0, 1, 3]
        expected = torch.cat([values(3), values(5, 1), values(3)]).to(dtype)
        assert torch.equal(ragged.values, expected)
        assert [one.length(key(n)) for n in range(6)] == [0, 1, 2, 3, 0, 1]
        assert key(2) in one
        assert one.missing([key(9), key(1), key(8), key(9)]) == [key(9), key(8)]
        assert one.read([]).values.shape == (0, 2, 3)


def test_reading_a_copy_does_not_touch_the_file(tmp_path):
    store = fill(tmp_path, [3])
    store.read([key(3)]).values.zero_()
    assert torch.equal(store.read([key(3)]).values, values(3))


def test_nothing_is_on_disk_before_it_is_written_to(tmp_path):
    store = FeatureStore(tmp_path / "features", DESCRIPTION)
    assert (len(store), store.shape, store.check()) == (0, None, [])
    assert store.missing([key(1)]) == [key(1)]
    assert store.read([]).sizes == []
    assert list(tmp_path.iterdir()) == []


def test_the_name_follows_the_description_whatever_its_order(tmp_path):
    turned = dict(reversed(DESCRIPTION.items()))
    assert FeatureStore(tmp_path, turned).name == FeatureStore(tmp_path, DESCRIPTION).name
    other = FeatureStore(tmp_path, {**DESCRIPTION, "layers": [1, 0]})
    assert other.name != FeatureStore(tmp_path, DESCRIPTION).name
    store = fill(tmp_path, [1])
    assert json.loads((store.folder / STORE_FILE).read_text())["description"] == DESCRIPTION


def test_a_pickled_store_maps_the_shards_anew(tmp_path):
    store = fill(tmp_path, [3])
    store.read([key(3)])
    raw = pickle.dumps(store)
    assert len(raw) < 5000
    assert torch.equal(pickle.loads(raw).read([key(3)]).values, values(3))


def test_missing_items_and_unknown_dtypes_are_named(tmp_path):
    store = fill(tmp_path, [3])
    with pytest.raises(InputError, match=f"no features of {key(4)} and 1 more; extract"):
        store.read([key(3), key(4), key(5)])
    with pytest.raises(InputError, match="no features of absent; extract"):
        store.length("absent")
    with pytest.raises(InputError, match="float32 or float16 or bfloat16, got dtype 'int8'"):
        FeatureStore(tmp_path, {"dtype": "int8"})


def test_refresh_follows_other_writers_and_removed_shards(tmp_path):
    reader = FeatureStore(tmp_path, DESCRIPTION)
    first = fill(tmp_path, [1])
    reader.refresh()
    assert reader.missing([key(1), key(2)]) == [key(2)]
    reader.read([key(1)])
    fill(tmp_path, [2])
    shard_paths(first)[0].unlink()
    reader.refresh()
    assert len(reader) == 1
    if key(2) not in reader:
        assert torch.equal(reader.read([key(1)]).values, values(1, 1))


def test_a_removed_duplicate_leaves_the_other_copy(tmp_path):
    first = fill(tmp_path, [3])
    (kept,) = shard_paths(first)
    aside = kept.rename(tmp_path / kept.name)
    second = fill(tmp_path, [3])
    (twin,) = shard_paths(second)
    aside.rename(kept)
    both = FeatureStore(tmp_path, DESCRIPTION)
    assert len(both) == 1
    twin.unlink()
    both.refresh()
    assert torch.equal(both.read([key(3)]).values, values(3))


@pytest.mark.parametrize("place", [3, 20, 40, 200, -1])
def test_a_flipped_bit_is_found_named_and_its_items_are_missing_again(tmp_path, place):
    store = fill(tmp_path, range(4), shard_bytes=1)
    *right, damaged = shard_paths(store)
    flip(damaged, place)
    fresh = FeatureStore(tmp_path, DESCRIPTION)
    (message,) = fresh.check()
    assert message.startswith(f"{damaged}: ")
    assert message.endswith("; deleted")
    assert fresh.missing([key(n) for n in range(4)]) == [key(3)]
    assert shard_paths(fresh) == right
    assert fresh.check() == []
    fill(tmp_path, [3])
    fresh.refresh()
    assert torch.equal(fresh.read([key(3)]).values, values(3))


def test_a_cut_shard_is_found_before_and_after_opening(tmp_path):
    store = fill(tmp_path, [2, 3], shard_bytes=1)
    (first, second) = shard_paths(store)
    os.truncate(first, first.stat().st_size - 1)
    (message,) = store.check()
    assert "bytes long, not" in message
    assert "it held 1 utterances" in message
    assert store.missing([key(2), key(3)]) == [key(2)]
    os.truncate(second, 30)
    assert FeatureStore(tmp_path, DESCRIPTION).missing([key(3)]) == [key(3)]
    assert "header is damaged" in FeatureStore(tmp_path, DESCRIPTION).check()[0]


def test_values_are_read_again_only_if_the_file_has_changed(tmp_path, monkeypatch):
    store = fill(tmp_path, range(4), shard_bytes=1)
    looked_at = []
    find_damage = feature_index.find_damage
    monkeypatch.setattr(
        "sermm.store.index.find_damage",
        lambda shard: looked_at.append(shard.path) or find_damage(shard),
    )
    assert store.check() == []
    assert looked_at == []
    touched = shard_paths(store)[1]
    os.utime(touched, ns=(1, 1))
    assert FeatureStore(tmp_path, DESCRIPTION).check() == []
    assert looked_at == [touched]
    assert FeatureStore(tmp_path, DESCRIPTION).check() == []
    assert looked_at == [touched]
    (store.folder / "verified.json").write_text("{")
    assert store.check() == []
    assert len(looked_at) == 1 + len(shard_paths(store))


def test_a_read_only_store_is_read_and_checked_without_writing(tmp_path, monkeypatch):
    store = fill(tmp_path, [2, 3], shard_bytes=1)
    before = {path: path.stat().st_mtime_ns for path in store.folder.iterdir()}
    for name in ("os.utime", "os.open", "pathlib.Path.unlink", "pathlib.Path.mkdir"):
        monkeypatch.setattr(name, read_only)
    fresh = FeatureStore(tmp_path, DESCRIPTION)
    assert fresh.check() == []
    assert torch.equal(fresh.read([key(3)]).values, values(3))
    with (
        pytest.raises(InputError, match=r"cannot write the feature store .*Read-only.*cache_dir="),
        fresh.writing(),
    ):
        pass
    assert {path: path.stat().st_mtime_ns for path in store.folder.iterdir()} == before


def test_a_damaged_shard_in_a_read_only_store_is_named_and_left_out(tmp_path, monkeypatch):
    store = fill(tmp_path, [2, 3], shard_bytes=1)
    path = shard_paths(store)[0]
    flip(path, -1)
    for name in ("os.utime", "pathlib.Path.unlink", "pathlib.Path.mkdir"):
        monkeypatch.setattr(name, read_only)
    fresh = FeatureStore(tmp_path, DESCRIPTION)
    for _ in range(2):
        assert "left out, as it cannot be deleted (Read-only" in fresh.check()[0]
        fresh.refresh()
        assert fresh.missing([key(2), key(3)]) == [key(2)]
    assert pickle.loads(pickle.dumps(fresh)).missing([key(2), key(3)]) == [key(2)]
    assert path.exists()


def read_only(*_, **__):
    raise OSError(30, "Read-only file system")


def test_a_newer_store_is_refused_with_the_way_out(tmp_path):
    store = fill(tmp_path, [1])
    text = (store.folder / STORE_FILE).read_text()
    (store.folder / STORE_FILE).write_text(text.replace('"format": 1', '"format": 2'))
    with pytest.raises(InputError, match=r"store.json was written by a newer.*upgrade.*cache_dir="):
        FeatureStore(tmp_path, DESCRIPTION)


def test_a_damaged_description_is_named(tmp_path):
    store = fill(tmp_path, [1])
    for text in ('{"format": 1', '{"format": 1, "description": {"dtype": "float16"}}', "[]"):
        (store.folder / STORE_FILE).write_text(text)
        with pytest.raises(InputError, match=r"store.json is damaged.*delete this one file"):
            FeatureStore(tmp_path, DESCRIPTION)
    (store.folder / STORE_FILE).unlink()
    fill(tmp_path, [2])
    assert json.loads((store.folder / STORE_FILE).read_text())["description"] == DESCRIPTION


def test_a_file_in_the_way_is_named(tmp_path):
    store = FeatureStore(tmp_path, DESCRIPTION)
    store.folder.write_text("")
    with pytest.raises(InputError, match="a file is in the way"):
        FeatureStore(tmp_path, DESCRIPTION)
    with pytest.raises(InputError, match="cannot write the feature store"), store.writing():
        pass


def test_shards_open_in_the_safetensors_library(tmp_path):
    (path,) = shard_paths(fill(tmp_path, [2, 3]))
    with safe_open(path, "pt") as file:
        assert torch.equal(file.get_tensor("values"), torch.cat([values(2, 2), values(3)]))


@pytest.mark.parametrize("number", [1, 2, 3])
def test_damage_that_changes_no_time_is_found_when_the_item_is_first_read(tmp_path, number):
    (path,) = shard_paths(fill(tmp_path, [1, 2, 3]))
    # The last byte of its values: those of 1, 2 and 3 rows of 24 bytes lie end to end.
    flip_silently(path, {1: -121, 2: -73, 3: -1}[number])
    store = FeatureStore(tmp_path, DESCRIPTION)
    assert store.check() == []
    others = [n for n in (1, 2, 3) if n != number]
    expected = torch.cat([values(n, n) for n in others])
    assert torch.equal(store.read([key(n) for n in others]).values, expected)
    said = rf"{path}: the features of {key(number)} are damaged; give the same command again"
    for one in (store, pickle.loads(pickle.dumps(store))):
        with pytest.raises(InputError, match=said):
            one.read([key(others[0]), key(number)])
    # The same command, given again, begins with a check.
    again = FeatureStore(tmp_path, DESCRIPTION)
    assert "the values of 1 of its 3 utterances are damaged; deleted" in again.check()[0]
    assert again.missing([key(n) for n in (1, 2, 3)]) == [key(n) for n in (1, 2, 3)]


def test_damage_in_a_store_that_cannot_be_written_is_refused_with_another_way_out(
    tmp_path, monkeypatch
):
    (path,) = shard_paths(fill(tmp_path, [3]))
    flip_silently(path, -1)
    monkeypatch.setattr("sermm.store.index.write_json", read_only)
    with pytest.raises(
        InputError, match=r"damaged, and the store cannot be written.*another cache"
    ):
        FeatureStore(tmp_path, DESCRIPTION).read([key(3)])


def test_an_item_is_compared_once_in_a_process(tmp_path, monkeypatch):
    store, compared = fill(tmp_path, [1, 2, 3]), []
    monkeypatch.setattr("sermm.store.features.crc", lambda rows: compared.append(rows) or crc(rows))
    for numbers in ([3, 1], [1, 2], [3, 2, 1]):
        store.read([key(n) for n in numbers])
    assert [len(rows) for rows in compared] == [3, 1, 2]
    # In a worker of a data loader that is started, not forked, nothing has been looked at yet.
    pickle.loads(pickle.dumps(store)).read([key(1)])
    assert len(compared) == 4


def test_verify_looks_at_what_has_been_found_right(tmp_path):
    store = fill(tmp_path, [3])
    flip_silently(shard_paths(store)[0], -1)
    (verdict,) = verify(tmp_path)
    assert "the values of 1 of its 1 utterances are damaged; deleted" in verdict.damaged[0]
    store.refresh()
    assert store.missing([key(3)]) == [key(3)]
