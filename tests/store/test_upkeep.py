import os
import subprocess
import sys
import time

import pytest
import torch

from sermm.core.errors import InputError
from sermm.store.features import FeatureStore
from sermm.store.index import STORE_FILE
from sermm.store.upkeep import prune, stores, verify

DAY_S = 86400
WRITER = """
import sys
from pathlib import Path
from sermm.store.features import FeatureStore
with FeatureStore(Path(sys.argv[1]), {"dtype": "float32", "encoder": "a"}).writing():
    print("ready", flush=True)
    sys.stdin.readline()
"""


def fill(root, encoder, lengths=(2, 3)):
    store = FeatureStore(root, {"dtype": "float32", "encoder": encoder})
    with store.writing() as writer:
        writer.add([(f"k{i}", torch.ones(n, 2, 3)) for i, n in enumerate(lengths)])
    return store


@pytest.fixture
def pair(tmp_path):
    return sorted((fill(tmp_path, "a"), fill(tmp_path, "b", (1, 0, 4))), key=lambda s: s.name)


def shard(store):
    (path,) = store.folder.glob("*.safetensors")
    return path


def damage(store):
    raw = bytearray(shard(store).read_bytes())
    raw[-2] ^= 1
    shard(store).write_bytes(raw)


def unused_for(store, days):
    then = time.time() - days * DAY_S
    os.utime(store.folder / STORE_FILE, (then, then))


def test_stores_are_listed_with_what_they_hold(tmp_path, pair):
    (tmp_path / "notes").mkdir()
    (tmp_path / "0123456789abcdef").write_text("a file")
    found = stores(tmp_path)
    assert [info.name for info in found] == [store.name for store in pair]
    by_encoder = {info.description["encoder"]: info for info in found}
    assert [(by_encoder[e].items, by_encoder[e].positions) for e in "ab"] == [(2, 5), (3, 5)]
    assert all(info.bytes > shard(s).stat().st_size for info, s in zip(found, pair, strict=True))
    assert all(abs(info.last_used - time.time()) < 60 for info in found)
    assert all(info.damaged == () for info in found)
    assert stores(tmp_path / "absent") == []


def test_training_on_a_store_says_that_it_is_in_use(tmp_path, pair):
    unused_for(pair[0], 10)
    assert stores(tmp_path)[0].last_used == pytest.approx(time.time() - 10 * DAY_S, abs=60)
    pair[0].check()
    assert stores(tmp_path)[0].last_used == pytest.approx(time.time(), abs=60)


def test_listing_shows_what_cannot_be_read(tmp_path, pair):
    os.truncate(shard(pair[0]), 20)
    text = (pair[1].folder / STORE_FILE).read_text()
    (pair[1].folder / STORE_FILE).write_text(text.replace('"format": 1', '"format": 2'))
    first, second = stores(tmp_path)
    assert "header is damaged" in first.damaged[0]
    assert shard(pair[0]).exists()
    assert "newer sermm" in second.damaged[0]
    assert (second.items, second.description) == (0, {})


def test_verify_reads_everything_and_deletes_what_is_damaged(tmp_path, pair):
    damage(pair[0])
    lost = shard(pair[0])
    first, second = verify(tmp_path)
    assert (first.shards, first.bytes) == (0, 0)
    assert str(lost) in first.damaged[0]
    assert "1 of its" in first.damaged[0]
    assert not lost.exists()
    assert (second.shards, second.bytes) == (1, shard(pair[1]).stat().st_size)
    assert second.damaged == ()
    assert all(verdict.damaged == () for verdict in verify(tmp_path))


def test_verify_takes_some_stores_by_their_first_digits(tmp_path, pair):
    damage(pair[1])
    assert [v.damaged for v in verify(tmp_path, [pair[0].name])] == [()]
    (verdict,) = verify(tmp_path, [pair[1].name[:6]])
    assert len(verdict.damaged) == 1
    known = f"{pair[0].name}, {pair[1].name}"
    with pytest.raises(InputError, match=f"no feature store 'xyz' in .*{known}"):
        verify(tmp_path, ["xyz"])
    with pytest.raises(InputError, match="no store at all"):
        verify(tmp_path / "absent", ["x"])


def test_verify_removes_a_damaged_description_and_passes_over_a_newer_store(tmp_path, pair):
    (pair[0].folder / STORE_FILE).write_text("{")
    text = (pair[1].folder / STORE_FILE).read_text()
    (pair[1].folder / STORE_FILE).write_text(text.replace('"format": 1', '"format": 2'))
    first, second = verify(tmp_path)
    assert "store.json is damaged" in first.damaged[0]
    assert first.shards == 1
    assert not (pair[0].folder / STORE_FILE).exists()
    assert "newer sermm" in second.refused
    assert FeatureStore(tmp_path, pair[0].description).missing(["k0"]) == []


def test_prune_deletes_what_was_not_used_for_so_long(tmp_path, pair):
    unused_for(pair[0], 31)
    size = stores(tmp_path)[0].bytes
    for dry_run in (True, False):
        (pruned,) = prune(tmp_path, unused_days=30.0, dry_run=dry_run)
        assert (pruned.path, pruned.bytes, pruned.kept) == (pair[0].folder, size, None)
        assert pair[0].folder.exists() == dry_run
    assert [path.name for path in tmp_path.iterdir()] == [pair[1].name]
    assert prune(tmp_path, unused_days=30.0) == []


def test_prune_deletes_named_stores_whenever_used_or_if_unused(tmp_path, pair):
    assert prune(tmp_path, 30.0, [pair[1].name]) == []
    (pruned,) = prune(tmp_path, names=[pair[1].name])
    assert pruned.path == pair[1].folder
    assert [info.name for info in stores(tmp_path)] == [pair[0].name]


def test_prune_without_more_deletes_leftovers_only(tmp_path, pair):
    dead = pair[0].folder / f".{'0' * 16}-00001.safetensors.77.abcd.tmp"
    half = tmp_path / f".{'0' * 16}.pruned-1234"
    half.mkdir()
    (half / "shard").write_text("12345")
    dead.write_text("123")
    for dry_run in (True, False):
        found = {pruned.path: pruned.bytes for pruned in prune(tmp_path, dry_run=dry_run)}
        assert found == {dead: 3, half: 5}
        assert dead.exists() == half.exists() == dry_run
    assert len(stores(tmp_path)) == 2


def test_what_is_being_written_is_kept(tmp_path):
    store = fill(tmp_path, "a")
    with store.writing():
        assert prune(tmp_path, names=[store.name])[0].kept == "it is being written"
        assert prune(tmp_path) == []
    other = subprocess.Popen(
        [sys.executable, "-c", WRITER, str(tmp_path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert other.stdout.readline() == "ready\n"
    assert prune(tmp_path, unused_days=0.0)[0].kept == "it is being written"
    other.communicate("\n", timeout=60)
    assert other.returncode == 0
    assert store.folder.exists()
    assert prune(tmp_path, unused_days=0.0)[0].kept is None


def test_a_read_only_store_is_kept(tmp_path, pair, monkeypatch):
    def read_only(*_):
        raise OSError(30, "Read-only file system")

    monkeypatch.setattr("os.open", read_only)
    assert prune(tmp_path) == []
    (pruned,) = prune(tmp_path, names=[pair[0].name])
    assert pruned.kept == "it cannot be written: Read-only file system"


def test_a_pruned_store_is_made_anew_by_its_next_writer(tmp_path):
    store = fill(tmp_path, "a")
    prune(tmp_path, names=[store.name])
    store.refresh()
    assert len(store) == 0
    again = fill(tmp_path, "a")
    assert again.folder == store.folder
    store.refresh()
    assert store.missing(["k0", "k1"]) == []
