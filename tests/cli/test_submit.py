import os
import re

import pytest

from sermm.cli import submit
from sermm.cli.main import main
from sermm.configuration.slurm import SubmitConfig, in_our_words


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


def test_dry_run_writes_and_prints_a_script_that_can_be_submitted_by_hand(words, tmp_path, capsys):
    sweep = ["model=majority,lookup", "fold=range(1,3)", "time=1-12:00:00", "partition=gpu"]
    assert main(["submit", *words, *sweep, "dry_run=true"]) == 0
    script, table = written(tmp_path)
    said = capsys.readouterr().out
    assert script in said
    assert "#SBATCH --array=1-4\n" in script
    assert "4 tasks of 1 GPU, 4 cores, 1-12:00:00 each: at most 144 GPU hours" in said
    (path,) = (tmp_path / "my runs" / "s" / ".sweeps" / "slurm").glob("*.sh")
    assert said.rstrip().endswith(f"by hand:\nsbatch '{path}'")
    # Again, on a machine without Slurm.
    assert main(["submit", *words, *sweep, "dry_run=true"]) == 0
    assert main(["status", "s", f"runs_dir={tmp_path / 'my runs'}"]) == 0
    assert "study s, 4 runs: 4 not submitted" in capsys.readouterr().out
    assert "#SBATCH --time=1-12:00:00\n" in script
    assert "#SBATCH --partition=gpu\n" in script
    assert "#SBATCH --gpus-per-node=1\n" in script
    assert len(table) == 4
    assert table[3].endswith("model=lookup fold=2")


def test_a_report_that_is_only_written_is_submitted_by_hand_too(words, capsys):
    assert main(["submit", *words, "model=majority", "report=true", "dry_run=true"]) == 0
    *_, array, report = capsys.readouterr().out.rstrip().splitlines()
    assert array.startswith("sbatch ")
    assert report.startswith("sbatch --dependency=afterany:ID ")


def test_without_sbatch_nothing_is_submitted_and_the_script_is_named(words, tmp_path, capsys):
    assert main(["submit", *words, "trainer.accelerator=cpu", "trainer.devices=2"]) == 2
    said = capsys.readouterr().err
    assert "there is no sbatch on this machine" in said
    script, _ = written(tmp_path)
    assert "--ntasks-per-node=2\n" in script
    assert "--gpus" not in script
    assert main(["status", "s", f"runs_dir={tmp_path / 'my runs'}"]) == 0
    assert "1 run: 1 not submitted" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (["fold=1,2", "modle=lookup"], "modle"),
        (["somewhere"], "'somewhere' is not key=value"),
        (["pack=2", "trainer.devices=2"], "pack=2 is for runs on one device"),
        (["time=[1"], "time=[1: expected minutes"),
        (["time=1:00"], "time=1:00 is no longer than the 120 s"),
        (["tasks_per_node=2"], "trainer.devices= and nodes= say how many"),
        (["+qos=low high"], "qos=low high: expected a word without spaces"),
        (["model=majority,latefusion"], "1 of 2 jobs cannot be composed, and none was submitted"),
        (["trainer.devices=1,2"], "the tasks of an array are alike"),
        (["study=a,b"], "belongs to one study"),
        (["submit=nosuch"], "nosuch"),
    ],
)
def test_what_is_wrong_is_told_before_anything_is_written(words, more, said, tmp_path, capsys):
    assert main(["submit", *words, *more]) == 2
    assert said in capsys.readouterr().err
    assert not list(tmp_path.rglob("*.sh"))


def test_retry_wants_a_study_that_was_submitted(words, tmp_path, capsys):
    (tmp_path / "my runs" / "s").mkdir(parents=True)
    assert main(["retry", "s", f"runs_dir={tmp_path / 'my runs'}"]) == 2
    assert "was submitted by sermm submit" in capsys.readouterr().err
    assert main(["retry", f"runs_dir={tmp_path / 'my runs'}"]) == 2
    assert "expected one study" in capsys.readouterr().err


def test_every_setting_of_the_help_is_taken_as_it_stands_there():
    told = submit.__doc__.split("all with an example:")[1].split("(lines of shell)")[0]
    words = [w.rstrip(",") for w in re.findall(r"\b[a-z_]+=[^\s']+", told) if "setup=" not in w]
    assert len(words) > 20
    ways = ("gpus=", "gpus_per_node=", "gres=")
    for way in ways:
        chosen = [word for word in words if not word.startswith(ways) or word.startswith(way)]
        SubmitConfig.of(in_our_words(chosen))
    named = {word.split("=")[0] for word in in_our_words(words)}
    assert named >= set(SubmitConfig.model_fields) - {
        "dry_run",
        "options",
        "python",
        "report",
        "setup",
    }
