import errno
import fcntl
import os
import signal
import subprocess
import sys
import time

import pytest
import torch

from sermm.core.errors import InputError
from sermm.store import claims as feature_claims
from sermm.store.features import FeatureStore

DESCRIPTION = {"dtype": "float32", "encoder": "tiny"}
KEYS = [f"{n:064x}" for n in range(40)]

# Computes what it can claim, a few at a time, and says every key that it computed.
WORKER = """
import sys, time
from pathlib import Path
import torch
from sermm.store.features import FeatureStore

root, pause_s = Path(sys.argv[1]), float(sys.argv[2])
store = FeatureStore(root, {"dtype": "float32", "encoder": "tiny"})
keys = [f"{n:064x}" for n in range(40)]
with store.writing(shard_bytes=400) as writer:
    print("ready", writer._claims.token, flush=True)
    sys.stdin.readline()
    while missing := store.missing(keys):
        claimed = writer.claim(missing[:5]) or writer.claim(missing)[:5]
        for key in claimed:
            print(key, flush=True)
            time.sleep(pause_s)
            writer.add([(key, torch.full((1 + int(key, 16) % 3, 2, 3), float(int(key, 16))))])
        if not claimed:
            writer.flush()
            time.sleep(0.01)
"""


def item(key, n=3):
    return key, torch.full((n, 2, 3), float(int(key, 16)))


def shards(store):
    return sorted(store.folder.glob("*.safetensors"))


def temporaries(store):
    return sorted(path.name for path in store.folder.glob(".*.tmp"))


def start(root, pause_s=0.002):
    worker = subprocess.Popen(
        [sys.executable, "-c", WORKER, str(root), str(pause_s)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    ready, worker.token = worker.stdout.readline().split() or ("", "")
    assert ready == "ready", worker.communicate()
    return worker


def computed(worker):
    output, errors = worker.communicate("\n", timeout=60)
    assert worker.returncode == 0, errors
    return output.split()


def all_there(root):
    store = FeatureStore(root, DESCRIPTION)
    ragged = store.read(KEYS)
    assert ragged.sizes == [1 + n % 3 for n in range(40)]
    return all((row == n).all() for n, row in enumerate(ragged.split()))


def test_two_processes_compute_every_key_once(tmp_path):
    workers = [start(tmp_path), start(tmp_path)]
    for worker in workers:
        worker.stdin.write("\n")
        worker.stdin.flush()
    done = [computed(worker) for worker in workers]
    assert all(done)
    assert sorted(done[0] + done[1]) == KEYS
    assert all_there(tmp_path)


def test_killed_in_the_middle_and_completed_by_another(tmp_path):
    worker = start(tmp_path, pause_s=0.02)
    worker.stdin.write("\n")
    worker.stdin.flush()
    store = FeatureStore(tmp_path, DESCRIPTION)
    limit = time.monotonic() + 30
    while len(store) < 10 and time.monotonic() < limit:
        store.refresh()
    worker.kill()
    worker.communicate()
    store.refresh()
    before = set(KEYS) - set(store.missing(KEYS))
    assert 10 <= len(before) < 40
    assert set(computed(start(tmp_path))) == set(KEYS) - before
    assert all_there(tmp_path)


def test_ctrl_c_writes_what_is_buffered(tmp_path):
    worker = start(tmp_path, pause_s=0.02)
    worker.stdin.write("\n")
    worker.stdin.flush()
    added = [worker.stdout.readline().strip() for _ in range(7)][:-1]
    worker.send_signal(signal.SIGINT)
    _, errors = worker.communicate(timeout=60)
    assert "KeyboardInterrupt" in errors
    assert FeatureStore(tmp_path, DESCRIPTION).missing(added) == []


def test_claims_keep_other_processes_away_until_stored_or_left(tmp_path):
    store = FeatureStore(tmp_path, DESCRIPTION)
    worker = start(tmp_path)
    with store.writing() as writer:
        assert writer.claim([*KEYS[:39], KEYS[0]]) == KEYS[:39]
        worker.stdin.write("\n")
        worker.stdin.flush()
        assert worker.stdout.readline().strip() == KEYS[39]
        writer.add([item(KEYS[0], 1)])
        assert writer.claim(KEYS[:3]) == KEYS[1:3]
    assert computed(worker) == KEYS[1:39]
    assert all_there(tmp_path)


def test_a_shard_is_written_when_it_is_full_or_old(tmp_path, monkeypatch):
    store = FeatureStore(tmp_path, DESCRIPTION)
    now = [0.0]
    monkeypatch.setattr("sermm.store.writer.time.monotonic", lambda: now[0])
    with store.writing(shard_bytes=24 * 10, shard_seconds=30.0) as writer:
        writer.add([item(key, 4) for key in KEYS[:2]])
        assert shards(store) == []
        writer.add([item(KEYS[2], 4)])
        writer.add([item(KEYS[3], 6)])
        now[0] = 29.0
        writer.add([item(KEYS[4], 1)])
        now[0] = 58.0
        writer.claim([])
        assert writer._filling is not None
        now[0] = 59.0
        writer.claim([])
        assert writer._filling is None
        writer.add([item(KEYS[5], 25)])
    store.refresh()
    held = [[int(key, 16) for key in shard.keys] for shard in store._index.shards.values()]
    assert sorted(held) == [[0, 1], [2, 3], [4], [5]]
    assert store.read(KEYS[:6]).sizes == [4, 4, 4, 6, 1, 25]


def test_what_is_stored_or_buffered_is_not_added_twice(tmp_path):
    store = FeatureStore(tmp_path, DESCRIPTION)
    for _ in range(2):
        with store.writing() as writer:
            writer.add([item(KEYS[1]), item(KEYS[1])])
            writer.add([item(KEYS[1])])
            assert writer.claim([KEYS[1]]) == []
    assert [len(shard.keys) for shard in store._index.shards.values()] == [1]


def test_values_are_copied_and_cast(tmp_path):
    store = FeatureStore(tmp_path, {"dtype": "float16"})
    source = torch.full((2, 2, 3), 1.0, dtype=torch.float64, requires_grad=True)
    with store.writing() as writer:
        writer.add([("a", source), ("b", torch.zeros(2, 3, 2).transpose(1, 2))])
        source.data.zero_()
        with pytest.raises(InputError, match=r"features of c reach 7e\+04.*bfloat16"):
            writer.add([("c", torch.full((1, 2, 3), -70000.0))])
    assert store.read(["a"]).values.tolist() == [[[1.0] * 3] * 2] * 2


def test_in_and_out_of_inference_mode(tmp_path):
    store = FeatureStore(tmp_path, DESCRIPTION)
    with store.writing() as writer:
        for n in range(3):
            with torch.inference_mode(n % 2 == 0):
                writer.add([item(KEYS[n])])
                writer.flush()
    assert [float(row.mean()) for row in store.read(KEYS[:3]).split()] == [0, 1, 2]


@pytest.mark.parametrize(
    ("key", "shape", "says"),
    [
        ("a b", (1, 2, 3), "without white space"),
        ("", (1, 2, 3), "without white space"),
        ("b", (1, 3, 3), r"features of b: got \[1, 3, 3\], expected \[n, 2, 3\]"),
        ("b", (2, 3), r"got \[2, 3\], expected \[n, 2, 3\]"),
    ],
)
@pytest.mark.parametrize("stored", [True, False])
def test_what_does_not_fit_is_refused(tmp_path, key, shape, says, stored):
    store = FeatureStore(tmp_path, DESCRIPTION)
    with store.writing() as writer:
        writer.add([item("a")])
        if stored:
            writer.flush()
        with pytest.raises(InputError, match=says):
            writer.add([(key, torch.zeros(shape))])
    assert store.missing(["a"]) == []


def test_full_disk_names_the_file_leaves_nothing_half_and_keeps_earlier_shards(
    tmp_path, monkeypatch
):
    def full(file):
        raise OSError(errno.ENOSPC, "No space left on device")

    store = FeatureStore(tmp_path, DESCRIPTION)
    with store.writing() as writer:
        writer.add([item(KEYS[0])])
    with monkeypatch.context() as patch:
        patch.setattr("sermm.core.files.os.fsync", full)
        with (
            pytest.raises(OSError, match=r"No space left on device: '.*safetensors'"),
            store.writing(shard_bytes=1) as writer,
        ):
            writer.add([item(key) for key in writer.claim(KEYS[:4])])
    assert temporaries(store) == []
    assert FeatureStore(tmp_path, DESCRIPTION).missing(KEYS[:4]) == KEYS[1:4]
    with store.writing() as writer:
        assert writer.claim(KEYS[:4]) == KEYS[1:4]


def test_an_exception_writes_what_is_buffered(tmp_path):
    store = FeatureStore(tmp_path, DESCRIPTION)
    with pytest.raises(InputError, match="expected"), store.writing() as writer:
        writer.add([item(KEYS[0]), (KEYS[1], torch.zeros(1))])
    assert FeatureStore(tmp_path, DESCRIPTION).missing(KEYS[:2]) == [KEYS[1]]


def test_a_second_writer_in_one_process_is_refused(tmp_path):
    store = FeatureStore(tmp_path, DESCRIPTION)
    with store.writing():
        twin = FeatureStore(tmp_path / "." / "x" / "..", DESCRIPTION)
        with pytest.raises(InputError, match=r"already; let the first writer finish"):
            twin.writing().__enter__()
        with FeatureStore(tmp_path, {"dtype": "float16"}).writing():
            pass
    with store.writing():
        pass


def test_temporaries_of_the_dead_are_removed_and_of_the_living_left(tmp_path):
    store = FeatureStore(tmp_path, DESCRIPTION)
    with store.writing():
        pass
    worker = start(tmp_path)
    dead = store.folder / f".{'0' * 16}-00001.safetensors.77.abcd.tmp"
    fresh, old = (store.folder / f".store.json.{n}.tmp" for n in "12")
    for path in (dead, fresh, old):
        path.write_text("half")
    os.utime(old, (1, 1))
    live = store.folder / f".{worker.token}-00001.safetensors.77.abcd.tmp"
    live.write_text("half")
    with store.writing():
        pass
    assert temporaries(store) == sorted([live.name, fresh.name])
    computed(worker)
    with store.writing():
        pass
    assert temporaries(store) == [fresh.name]


@pytest.mark.parametrize("number", [errno.ENOLCK, errno.ENOTSUP])
def test_without_locks_it_warns_once_and_goes_on(tmp_path, monkeypatch, capsys, number):
    def no_locks(*_):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(fcntl, "lockf", no_locks)
    store = FeatureStore(tmp_path, DESCRIPTION)
    left = store.folder / f".{'0' * 16}-00001.safetensors.77.abcd.tmp"
    for first in (0, 2):
        with store.writing() as writer:
            assert writer.claim(KEYS[first : first + 2]) == KEYS[first : first + 2]
            writer.add([item(key) for key in KEYS[first : first + 2]])
        left.write_text("half")
    assert capsys.readouterr().err.count("knows no locks") == 1
    assert len(store) == 4
    assert temporaries(store) == [left.name]


def test_other_errors_of_locking_go_up(tmp_path, monkeypatch):
    def broken(*_):
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(fcntl, "lockf", broken)
    with pytest.raises(InputError, match=r"cannot write the feature store .*Input/output error"):
        FeatureStore(tmp_path, DESCRIPTION).writing().__enter__()


def test_claims_lie_where_every_process_looks(tmp_path):
    offsets = [feature_claims._offset(key) for key in KEYS]
    assert len(set(offsets)) == 40
    assert min(offsets) > 0
    assert max(offsets) < 2**63 - 1
    # SHA-256 of "a" begins with ca978112ca1bbdca.
    assert feature_claims._offset("a") == 1 + 0xCA978112CA1BBDCA % (2**63 - 2)
