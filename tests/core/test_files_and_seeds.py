import pytest

from sermm.core.digest import digest, digest_file, digest_ids
from sermm.core.files import read_json, whole_file, write_json, write_text
from sermm.core.seeding import generator, seed_of


def test_a_failed_write_leaves_the_old_file_and_nothing_else(tmp_path):
    path = tmp_path / "a.txt"
    write_text(path, "old")

    def fail() -> None:
        with whole_file(path) as temporary:
            temporary.write_text("half")
            raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        fail()
    assert path.read_text() == "old"
    assert [p.name for p in tmp_path.iterdir()] == ["a.txt"]


def test_json_refuses_what_json_cannot_say(tmp_path):
    write_json(tmp_path / "a.json", {"ä": 1.5})
    assert read_json(tmp_path / "a.json") == {"ä": 1.5}
    with pytest.raises(ValueError, match="Out of range"):
        write_json(tmp_path / "b.json", float("nan"))
    assert not (tmp_path / "b.json").exists()


def test_digests_do_not_depend_on_the_order_of_keys_or_ids():
    assert digest({"a": 1, "b": [2]}) == digest({"b": [2], "a": 1})
    # SHA-256 of {"a":1}, by any other tool.
    assert digest({"a": 1}) == "015abd7f5cc57a2dd94b7590f04ad8084273905ee33ec5cebeae62276a97f862"
    assert digest_ids(["b", "a"], []) == digest_ids(["a", "b"], [])
    assert digest_ids(["a"], ["b"]) != digest_ids(["a", "b"], [])


def test_digest_of_a_file(tmp_path):
    (tmp_path / "f").write_bytes(b"abc")
    expected = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    assert digest_file(tmp_path / "f") == expected


def test_streams_have_names_and_stay_the_same():
    assert seed_of(1, "loso4", 2) == seed_of("1", "loso4", "2")
    assert seed_of(1, "loso4", 2) != seed_of(1, "loso4", 3)
    assert seed_of("12", "3") != seed_of("1", "23")
    assert generator(0, "x").permutation(5).tolist() == generator(0, "x").permutation(5).tolist()
