import os

import pytest

from sermm.cli.main import main


@pytest.fixture
def words(tmp_path, monkeypatch):
    for name in [name for name in os.environ if name.startswith("SLURM_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("PATH", "/nowhere")
    return [f"runs_dir='{tmp_path / 'my runs'}'", "study=s", "encoder/speech=mfcc"]


def written(tmp_path):
    (script,) = (tmp_path / "my runs" / "s" / ".sweeps" / "slurm").glob("*.sh")
    (table,) = (tmp_path / "my runs" / "s" / ".sweeps" / "slurm").glob("*.jobs")
    return script.read_text(), table.read_text().splitlines()


def test_dry_run_writes_and_prints_the_script_and_plans_nothing(words, tmp_path, capsys):
    sweep = ["model=majority,lookup", "fold=range(1,3)", "time=1-12:00:00", "partition=gpu"]
    assert main(["submit", *words, *sweep, "dry_run=true"]) == 0
    script, table = written(tmp_path)
    assert script in capsys.readouterr().out
    assert "#SBATCH --time=1-12:00:00\n" in script
    assert "#SBATCH --partition=gpu\n" in script
    assert "#SBATCH --gpus-per-node=1\n" in script
    assert len(table) == 4
    assert table[3].endswith("model=lookup fold=2")
    assert not list((tmp_path / "my runs" / "s" / ".sweeps").glob("*.json"))


def test_without_sbatch_nothing_is_planned_and_the_script_is_named(words, tmp_path, capsys):
    assert main(["submit", *words, "trainer.accelerator=cpu", "trainer.devices=2"]) == 2
    said = capsys.readouterr().err
    assert "there is no sbatch on this machine" in said
    script, _ = written(tmp_path)
    assert "--ntasks-per-node=2\n" in script
    assert "--gpus" not in script
    assert not list((tmp_path / "my runs" / "s" / ".sweeps").glob("*.json"))


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (["fold=1,2", "modle=lookup"], "modle"),
        (["somewhere"], "'somewhere' is not key=value"),
        (["pack=2", "trainer.devices=2"], "pack=2 is for runs on one device"),
        (["time=[1"], "time=[1 cannot be read"),
        (["submit=nosuch"], "nosuch"),
    ],
)
def test_what_is_wrong_is_told_before_anything_is_written(words, more, said, capsys):
    assert main(["submit", *words, *more]) == 2
    assert said in capsys.readouterr().err


def test_retry_wants_a_study_that_was_submitted(words, tmp_path, capsys):
    (tmp_path / "my runs" / "s").mkdir(parents=True)
    assert main(["retry", "s", f"runs_dir={tmp_path / 'my runs'}"]) == 2
    assert "was submitted by sermm submit" in capsys.readouterr().err
    assert main(["retry", f"runs_dir={tmp_path / 'my runs'}"]) == 2
    assert "expected one study" in capsys.readouterr().err
