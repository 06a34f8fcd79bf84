import os
import runpy
import subprocess
import sys
import tempfile

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


def test_the_package_can_be_run_as_a_module():
    done = subprocess.run(
        [sys.executable, "-m", "sermm", "--version"], capture_output=True, check=False
    )
    assert done.returncode == 0, done.stderr


def test_the_processes_of_a_sweep_that_was_started_so_do_not_run_it_again():
    assert runpy.run_module("sermm", run_name="__mp_main__", alter_sys=False)["main"] is main


def test_help_imports_neither_torch_nor_hydra():
    script = (
        "import sys; from sermm.cli.main import main; main(['--help'])\n"
        "heavy = {'torch', 'hydra', 'lightning', 'transformers', 'numpy'} & set(sys.modules)\n"
        "sys.exit(str(heavy) if heavy else 0)"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, check=False)
    assert done.returncode == 0, done.stderr


def test_a_variable_that_is_set_to_nothing_is_one_that_is_not_set(monkeypatch, capsys):
    seen = {}
    monkeypatch.setenv("SERMM_CACHE", "")
    monkeypatch.setattr(report, "run", lambda arguments: seen.update(os.environ) or 0)
    assert main(["report", "x"]) == 0
    assert "SERMM_CACHE" not in seen


def test_any_exception_of_a_verb_is_one_line_and_a_file(monkeypatch, capsys, tmp_path):
    def broken(arguments):
        raise ZeroDivisionError("some\n\n  fault")

    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setattr(report, "run", broken)
    assert main(["report", "x"]) == 1
    line = capsys.readouterr().err
    assert line.startswith("sermm report: ZeroDivisionError: some fault (")
    assert line.count("\n") == 1
    (kept,) = tmp_path.iterdir()
    assert str(kept) in line
    assert "Traceback" in kept.read_text()


def test_ctrl_c_is_exit_status_130(monkeypatch, capsys):
    def stopped(arguments):
        raise KeyboardInterrupt

    monkeypatch.setattr(report, "run", stopped)
    assert main(["report", "x"]) == 130
    assert "goes on from here" in capsys.readouterr().err
