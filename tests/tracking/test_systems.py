import pytest

from sermm.configuration.identity import system_key
from sermm.configuration.verbs import RunConfig
from sermm.tracking import names as tracked
from sermm.tracking.systems import LONGEST, system_label
from sermm.tracking.tracker import Begun

SYSTEMS = ("0123456789abcdef", "fedcba9876543210")


def test_systems_of_one_model_have_names_apart(tmp_path):
    names = [
        system_label(tmp_path, system, "late_fusion", {"model.width": str(width)})
        for system, width in zip(SYSTEMS, (8, 16), strict=True)
    ]
    assert names == [
        "late_fusion model.width=8 [01234567]",
        "late_fusion model.width=16 [fedcba98]",
    ]


def test_a_system_has_one_name_however_it_was_typed(tmp_path):
    words = {"trainer.max_epochs": "3", "model.width": "8"}
    first = system_label(tmp_path, SYSTEMS[0], "caf", words)
    assert first == "caf model.width=8 trainer.max_epochs=3 [01234567]"
    assert system_label(tmp_path, SYSTEMS[0], "caf", {}) == first
    assert system_label(tmp_path / "another", SYSTEMS[0], "caf", {}) == "caf [01234567]"


@pytest.mark.parametrize("n", [6, 60])
def test_long_names_are_told_apart_and_fit(tmp_path, n):
    words = {f"some.long.group/key{k}": "value" for k in range(n)}
    names = [system_label(tmp_path, system, "caf", words) for system in SYSTEMS]
    assert names[0].startswith("caf key0=value key1=value")
    assert all(len(name) <= LONGEST for name in names)
    assert names[0].endswith(" [01234567]")
    assert names[1].endswith(" [fedcba98]")
    assert ("…" in names[0]) == (n == 60)


def test_names_and_groups_tell_apart_what_a_report_tells_apart(tmp_path):
    base = RunConfig.of(["data=demo", "model=late_fusion"])
    others = [{}, {"fold": 2}, {"seed": 1}, {"trainer.max_epochs": 7}]
    begun = []
    for number, other in enumerate(others):
        words = {k: str(v) for k, v in other.items() if k == "trainer.max_epochs"}
        folder = tmp_path / f"{number:016x}"
        begun.append(Begun(base.changed({"study": "s" * 200, **other}), folder, words))
    systems = [system_key(one.config) for one in begun]
    assert [one.system for one in begun] == systems
    assert systems[0] == systems[1] == systems[2] != systems[3]
    groups = [tracked.group(one, 128) for one in begun]
    assert groups[0] == groups[1] == groups[2] != groups[3]
    assert all(len(group) <= 128 for group in groups)
    names = [tracked.run_name(one, 60) for one in begun]
    assert len(set(names)) == 4
    assert all(len(name) <= 60 for name in names)
    assert names[1].endswith(f"[{systems[1][:8]}] fold 2 seed 0")
    assert tracked.config_of(begun[1])["system_fold"] == f"{begun[0].label}, fold 2"
