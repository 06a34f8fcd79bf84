import errno
import subprocess
import sys

import pytest

from sermm.cli import report
from sermm.cli.main import VERBS, main


def test_help_lists_every_verb_and_a_wrong_one_is_refused(capsys):
    assert main(["--help"]) == 0
    overview = capsys.readouterr().out
    assert all(verb in overview for verb in VERBS)
    assert main([]) == 2
    assert main(["trian"]) == 2
    assert "no verb 'trian'" in capsys.readouterr().err


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_has_help_with_an_example(verb, capsys):
    assert main([verb, "--help"]) == 0
    said = capsys.readouterr().out
    assert said.startswith(f"sermm {verb}")
    assert f"\n  sermm {verb}" in said


def test_help_imports_neither_torch_nor_hydra():
    script = (
        "import sys; from sermm.cli.main import main; main(['--help'])\n"
        "heavy = {'torch', 'hydra', 'lightning', 'transformers', 'numpy'} & set(sys.modules)\n"
        "sys.exit(str(heavy) if heavy else 0)"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, check=False)
    assert done.returncode == 0, done.stderr


def test_a_full_disk_is_one_clear_line(monkeypatch, capsys):
    def full(arguments):
        raise OSError(errno.ENOSPC, "No space left on device", "runs/x/best.ckpt")

    monkeypatch.setattr(report, "run", full)
    assert main(["report", "x"]) == 1
    assert "runs/x/best.ckpt" in capsys.readouterr().err


def test_other_faults_of_the_system_keep_their_traceback(monkeypatch):
    def broken(arguments):
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(report, "run", broken)
    with pytest.raises(OSError, match="Input/output"):
        main(["report", "x"])


def test_ctrl_c_is_exit_status_130(monkeypatch, capsys):
    def stopped(arguments):
        raise KeyboardInterrupt

    monkeypatch.setattr(report, "run", stopped)
    assert main(["report", "x"]) == 130
    assert "goes on from here" in capsys.readouterr().err
