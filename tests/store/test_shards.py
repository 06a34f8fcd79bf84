import json
import os

import pytest
import safetensors
import torch

from sermm.core.errors import InputError
from sermm.store.shards import (
    DamagedError,
    as_bytes,
    checksum,
    find_damage,
    mapped,
    new_values,
    read_shard,
    write_shard,
)

STORE = "0123456789abcdef"


@pytest.fixture
def path(tmp_path):
    return tmp_path / STORE / "w-00001.safetensors"


def write(path, lengths=(2, 0, 3), dtype=torch.float32):
    values = torch.arange(sum(lengths) * 6, dtype=torch.float32).view(-1, 2, 3).to(dtype)
    sums = [checksum(part) for part in values.split(list(lengths))]
    write_shard(path, [f"k{i}" for i in range(len(lengths))], lengths, sums, values)
    return values


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16])
def test_the_safetensors_library_reads_our_files(path, dtype):
    values = write(path, dtype=dtype)
    with safetensors.safe_open(path, "pt") as file:
        assert file.metadata()["keys"] == "k0 k1 k2"
        assert file.metadata()["lengths"] == "2 0 3"
        assert torch.equal(file.get_tensor("values"), values)
    shard = read_shard(path)
    assert (shard.lengths, shard.shape, shard.dtype) == ((2, 0, 3), (2, 3), dtype)
    assert shard.start % 64 == 0
    assert shard.size == path.stat().st_size
    assert (mapped(shard) == as_bytes(values)).all()


def test_values_without_a_row(path):
    write(path, (0, 0))
    assert read_shard(path).lengths == (0, 0)
    assert find_damage(read_shard(path)) is None
    with safetensors.safe_open(path, "pt") as file:
        assert list(file.get_tensor("values").shape) == [0, 2, 3]


def test_no_bit_of_the_file_is_without_a_check(path):
    write(path)
    whole = path.read_bytes()
    for place in range(8 * len(whole)):
        flipped = bytearray(whole)
        flipped[place // 8] ^= 1 << place % 8
        path.write_bytes(flipped)
        try:
            found = find_damage(read_shard(path))
        except DamagedError as error:
            found = str(error)
        assert found is not None, f"bit {place}"


def test_damage_says_how_many_utterances(path):
    write(path)
    whole = bytearray(path.read_bytes())
    whole[-1] ^= 1
    path.write_bytes(whole)
    assert find_damage(read_shard(path)) == "the values of 1 of its 3 utterances are damaged"


@pytest.mark.parametrize("left", [0, 7, 8, 100, -1])
def test_cut_at_any_place(path, left):
    write(path)
    size = path.stat().st_size
    os.truncate(path, left % size)
    with pytest.raises(DamagedError, match=r"header is damaged|bytes long, not \d+; it held 3 utt"):
        read_shard(path)


def test_newer_format_and_other_store_are_named_not_called_damaged(path, monkeypatch):
    monkeypatch.setattr("sermm.store.shards.FORMAT", 2)
    write(path)
    monkeypatch.undo()
    with pytest.raises(InputError, match=r"newer sermm \(feature format 2.*upgrade.*cache_dir="):
        read_shard(path)
    path.unlink()
    write(path)
    moved = path.parent.with_name("f" * 16) / path.name
    moved.parent.mkdir()
    path.rename(moved)
    with pytest.raises(InputError, match=f"belongs to the store {STORE}"):
        read_shard(moved)


def test_the_map_refuses_a_file_that_has_changed(path):
    write(path)
    shard = read_shard(path)
    os.truncate(path, shard.size - 1)
    with pytest.raises(InputError, match="cut short since"):
        mapped(shard)
    path.unlink()
    with pytest.raises(InputError, match="removed"):
        mapped(shard)


def test_an_error_while_writing_names_the_file_and_leaves_nothing(path, monkeypatch):
    def full(fd):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("sermm.core.files.os.fsync", full)
    with pytest.raises(OSError, match=r"No space left on device: '.*w-00001.safetensors'"):
        write(path)
    assert list(path.parent.iterdir()) == []


def test_header_is_plain_json(path):
    write(path)
    raw = path.read_bytes()
    header = json.loads(raw[8 : 8 + int.from_bytes(raw[:8], "little")])
    assert header["values"] == {"dtype": "F32", "shape": [5, 2, 3], "data_offsets": [0, 120]}
    assert header["__metadata__"]["store"] == STORE


def test_new_values_have_the_shape_asked_for():
    values = new_values(4, (2, 3), torch.bfloat16)
    assert (list(values.shape), values.dtype) == ([4, 2, 3], torch.bfloat16)
    assert values.is_contiguous()
