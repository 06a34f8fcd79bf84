import errno

import pytest

from sermm.core.errors import InputError
from sermm.core.failures import TRACEBACK, said


def raised(error):
    try:
        raise error
    except BaseException as caught:
        return caught


@pytest.mark.parametrize(
    ("code", "way_out"),
    [
        (errno.ENOSPC, "make room"),
        (errno.EROFS, "choose another place"),
        (errno.EACCES, "check its permissions"),
        (errno.ENOTDIR, "is a file"),
        (errno.ENAMETOOLONG, "255 bytes"),
    ],
)
def test_what_the_system_refuses_names_the_file_and_the_way_out(code, way_out, capsys):
    assert said("report", raised(OSError(code, "a reason", "runs/x/best.ckpt"))) == 1
    line = capsys.readouterr().err
    assert line.startswith("sermm report: runs/x/best.ckpt: a reason; ")
    assert way_out in line
    assert "make room" not in line or code == errno.ENOSPC


def test_wrong_input_is_status_2_and_nothing_but_its_message(capsys):
    assert said("data", raised(InputError("no such thing"))) == 2
    assert capsys.readouterr().err == "sermm data: no such thing\n"


def test_a_log_gets_the_whole_traceback(monkeypatch, capsys):
    monkeypatch.setenv(TRACEBACK, "1")
    assert said("train", raised(RuntimeError("odd"))) == 1
    assert "Traceback (most recent call last)" in capsys.readouterr().err


def test_a_fault_without_a_file_of_the_system_is_not_taken_for_the_users(monkeypatch, capsys):
    monkeypatch.setenv(TRACEBACK, "1")
    assert said("train", raised(OSError(errno.ENOENT, "no such thing"))) == 1
    assert "Traceback" in capsys.readouterr().err
