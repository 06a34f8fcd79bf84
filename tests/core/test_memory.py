import pytest

from sermm.core import memory


@pytest.fixture
def proc(tmp_path, monkeypatch):
    monkeypatch.setattr(memory, "_PROC", tmp_path)
    (tmp_path / "self").mkdir()
    return tmp_path


def test_figures_are_in_bytes_and_found_by_their_whole_name(proc):
    (proc / "self" / "status").write_text("VmPeak:\t 9 kB\nVmHWM:\t 2000 kB\nVmRSS:\t 5 kB\n")
    (proc / "meminfo").write_text("MemTotal: 9 kB\nMemAvailable:       3 kB\n")
    assert memory.peak_bytes() == 2000 * 1024
    assert memory.available_bytes() == 3 * 1024
    assert memory.forget_peak()
    assert (proc / "self" / "clear_refs").read_text() == "5"


def test_a_system_that_does_not_tell(proc):
    (proc / "self").rmdir()
    assert memory.peak_bytes() is None
    assert memory.available_bytes() is None
    assert not memory.forget_peak()
    (proc / "meminfo").write_text("MemTotal: 9 kB\n")
    assert memory.available_bytes() is None
