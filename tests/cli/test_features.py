import json
import os
import time

import pytest
import torch

from sermm.cli import features
from sermm.cli.features import features_folder, run
from sermm.core.errors import InputError
from sermm.core.files import size_text
from sermm.store.features import FeatureStore
from sermm.store.index import STORE_FILE

DESCRIPTION = {
    "dtype": "float16",
    "encoder": "facebook/wav2vec2-base",
    "weights": "0123456789abcdef0123",
    "level": "phones",
    "layers": [0, 12],
}


@pytest.fixture
def store(tmp_path, monkeypatch):
    monkeypatch.setenv("SERMM_CACHE", str(tmp_path))
    store = FeatureStore(tmp_path / "features", DESCRIPTION)
    with store.writing() as writer:
        writer.add([("a", torch.ones(2, 2, 3)), ("b", torch.ones(5, 2, 3))])
    return store


def damage(store):
    (path,) = store.folder.glob("*.safetensors")
    raw = bytearray(path.read_bytes())
    raw[-2] ^= 1
    path.write_bytes(raw)
    return path


def test_list_shows_stores_total_and_free_disk(store, capsys):
    assert run(["list"]) == 0
    lines = capsys.readouterr().out.splitlines()
    (row,) = [line.split() for line in lines if store.name in line]
    assert row[:6] == [
        store.name, "facebook/wav2vec2-base", "phones", "float16", "01234567", "0,12"
    ]  # fmt: skip
    assert row[6:8] == ["2", "7"]
    assert row[-2] == time.strftime("%Y-%m-%d")
    assert lines[-1].startswith("1 stores, ")
    assert lines[-1].endswith(" free on that disk")


def test_list_falls_back_where_a_description_says_less(tmp_path, capsys):
    bare = FeatureStore(tmp_path / "features", {"dtype": "bfloat16", "layers": "all"})
    with bare.writing():
        pass
    assert run(["list", f"cache_dir={tmp_path}"]) == 0
    (row,) = [line.split() for line in capsys.readouterr().out.splitlines() if bare.name in line]
    assert row[1:8] == ["-", "-", "bfloat16", "-", "all", "0", "0"]


def test_a_run_of_layers_is_shown_as_such(tmp_path, capsys):
    for layers in (list(range(13)), [3, 4], [1, 2, 4]):
        with FeatureStore(tmp_path / "features", {**DESCRIPTION, "layers": layers}).writing():
            pass
    run(["list", f"cache_dir={tmp_path}"])
    rows = capsys.readouterr().out.splitlines()[1:4]
    assert {row.split()[5] for row in rows} == {"0-12", "3,4", "1,2,4"}


def test_list_as_json(store, capsys):
    path = damage(store)
    os.truncate(path, 10)
    assert run(["list", "format=json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["root"] == str(store.folder.parent)
    assert found["free_bytes"] > 0
    (only,) = found["stores"]
    assert only["description"] == DESCRIPTION
    assert (only["name"], only["utterances"]) == (store.name, 0)
    assert str(path) in only["damaged"][0]


def test_list_of_nothing(tmp_path, capsys):
    assert run(["list", f"cache_dir={tmp_path / 'absent'}"]) == 0
    assert capsys.readouterr().out.startswith("0 stores, 0 B, in ")


def test_list_names_damaged_files(store, capsys):
    os.truncate(damage(store), 10)
    assert run(["list"]) == 0
    assert "\ndamaged: " in capsys.readouterr().out


def test_verify_ends_with_1_where_something_was_damaged(store, capsys):
    assert run(["verify"]) == 0
    assert ": all right" in capsys.readouterr().out
    path = damage(store)
    assert run(["verify", store.name[:5]]) == 1
    printed = capsys.readouterr().out
    assert f"{path}: the values of 1 of its 2 utterances are damaged; deleted" in printed
    assert "1 damaged files; the next extract computes again" in printed
    assert run(["verify"]) == 0


def test_verify_of_nothing(tmp_path, capsys):
    assert run(["verify", f"cache_dir={tmp_path}"]) == 0
    assert capsys.readouterr().out == f"no feature stores in {tmp_path / 'features'}\n"


def test_verify_names_a_store_that_it_cannot_read(store, capsys):
    text = (store.folder / STORE_FILE).read_text()
    (store.folder / STORE_FILE).write_text(text.replace('"format": 1', '"format": 2'))
    assert run(["verify"]) == 1
    assert "not verified: " in capsys.readouterr().out


def test_prune_says_what_it_frees(store, capsys):
    assert run(["prune"]) == 0
    assert capsys.readouterr().out == f"freed 0 B in {store.folder.parent}\n"
    os.utime(store.folder / STORE_FILE, (1, 1))
    assert run(["prune", "unused_days=30", "dry_run=true"]) == 0
    dry = capsys.readouterr().out
    assert dry.startswith(f"would delete {store.name} (")
    assert "\nwould free " in dry
    assert store.folder.exists()
    assert run(["prune", "unused_days=30"]) == 0
    assert capsys.readouterr().out.startswith(f"deleted {store.name} (")
    assert not store.folder.exists()


def test_prune_says_what_it_keeps(store, capsys):
    with store.writing():
        assert run(["prune", store.name]) == 0
    assert "): it is being written\nfreed 0 B in " in capsys.readouterr().out
    assert store.folder.exists()


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ([], "the task must be list or verify or prune, got None"),
        (["drop"], "list or verify or prune, got 'drop'"),
        (["list", "abc"], "list takes no store"),
        (["list", "format=xml"], "table or json"),
        (["verify", "dry_run=true"], "unknown key dry_run"),
        (["verify", "zzz"], "no feature store 'zzz'"),
        (["prune", "unused_days=soon"], "number of days, got 'soon'"),
        (["prune", "unused_days=-1"], "number of days, got '-1'"),
        (["prune", "unused_days=nan"], "number of days, got 'nan'"),
        (["prune", "dry_run=yes"], "true or false"),
    ],
)
def test_wrong_use(store, arguments, says):
    with pytest.raises(InputError, match=says):
        run(arguments)


def test_where_stores_are(monkeypatch):
    monkeypatch.setenv("HOME", "/home/me")
    monkeypatch.delenv("SERMM_CACHE", raising=False)
    assert str(features_folder(None)) == "/home/me/.cache/sermm/features"
    monkeypatch.setenv("SERMM_CACHE", "/big")
    assert str(features_folder(None)) == "/big/features"
    assert str(features_folder("/other")) == "/other/features"


def test_sizes_are_decimal():
    sizes = [0, 999, 1000, 3_610_000_000, 999_600, 2_000_000_000_000_000]
    assert [size_text(size) for size in sizes] == [
        "0 B", "999 B", "1 kB", "3.61 GB", "1 MB", "2e+03 TB"
    ]  # fmt: skip


def test_help_names_the_tasks():
    assert all(f"sermm features {task}" in features.__doc__ for task in ("list", "verify", "prune"))
