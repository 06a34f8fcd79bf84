"""The script is executed here by bash, with an srun that starts the command itself."""

import json
import os
import shlex
import subprocess
from pathlib import Path

import pytest

from sermm.configuration.verbs import RunConfig
from sermm.core.errors import InputError
from sermm.runs.folder import RunFolder
from sermm.runs.lock import locked
from sermm.runs.plans import Note, PlannedJob, write_note
from sermm.sweeps.slurm.handing import hand_over, last_settings
from sermm.sweeps.slurm.script import quoted, script, table
from sermm.sweeps.slurm.settings import SlurmSettings
from sermm.sweeps.slurm.submit import cost, submit, write

PLAIN = {
    "account": None,
    "partition": None,
    "gpus": None,
    "nodes": 1,
    "cpus": 4,
    "memory": None,
    "time": None,
    "options": [],
    "setup": [],
    "python": None,
    "requeue": True,
    "signal": "USR1@120",
    "at_most": None,
    "pack": 1,
}


def settings(devices=1, **changes):
    return SlurmSettings.of({"devices": devices, "asked": {**PLAIN, **changes}})


def text_of(study, devices=1, **changes):
    return script(study, study / "t", 3, settings(devices, **changes))


def options_of(text):
    return [line[8:] for line in text.splitlines() if line.startswith("#SBATCH ")]


def test_every_setting_becomes_an_option(tmp_path):
    text = text_of(
        tmp_path / "my study",
        devices=8,
        nodes=2,
        account="lab",
        partition="gpu",
        memory="16G",
        time="1-12:00:00",
        options=["--qos=low"],
        requeue=False,
    )
    logs = f"{tmp_path}/my study/.sweeps/logs/slurm-%A_%a.log"
    assert options_of(text) == [
        "--array=1-3",
        "--job-name=sermm-my_study",
        f'--output="{logs}"',
        "--open-mode=append",
        f'--chdir="{Path.cwd()}"',
        "--nodes=2",
        "--ntasks-per-node=4",
        "--cpus-per-task=4",
        "--gpus-per-node=4",
        "--account=lab",
        "--partition=gpu",
        "--time=1-12:00:00",
        "--mem=16G",
        "--signal=USR1@120",
        "--no-requeue",
        "--qos=low",
    ]


def test_runs_without_gpus_ask_for_none(tmp_path):
    assert "--gpus" not in text_of(tmp_path, gpus=0)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"pack": 2, "devices": 2}, "pack=2 is for runs on one device"),
        ({"nodes": 2, "devices": 3}, "cannot be shared by nodes=2"),
        ({"cpus": 0}, "cpus=0: expected a number of at least 1"),
        ({"pack": "two"}, "pack=two: expected a whole number"),
        ({"setup": "module load x"}, "expected a list"),
    ],
)
def test_numbers_that_do_not_go_together_are_refused(tmp_path, changes, said):
    with pytest.raises(InputError, match=said):
        text_of(tmp_path, **changes)


def test_paths_that_sbatch_cannot_take_are_refused():
    assert quoted(Path('a "b')) == '"a \\"b"'
    with pytest.raises(InputError, match="backslash"):
        quoted(Path("a\\b"))
    with pytest.raises(InputError, match="line break"):
        table([PlannedJob(("a=b\nc",))])


HARD = ("study='it''s'", 'data.root="a  b $HOME `x`"', "x=$(false)", "y=*", "fold=1")


def execute(written, index, tasks=1, of=0):
    environment = {
        **os.environ,
        "SLURM_ARRAY_JOB_ID": "77",
        "SLURM_ARRAY_TASK_ID": str(index),
        "SLURM_CPUS_PER_TASK": "1",
        "TASKS": str(tasks),
    }
    command = ["bash", str(written.paths[of])]
    return subprocess.run(command, env=environment, check=False, timeout=60).returncode


def heard(study, job):
    path = study / ".sweeps" / "logs" / f"{job.id}.log"
    return path.read_text().splitlines() if path.exists() else []


def words_heard(job):
    return ["0", "-m", "sermm.cli.main", "train", *job.words, "hydra.mode=RUN", ""]


JOBS = [PlannedJob((*HARD[:4], f"fold={n}")) for n in (1, 2, 9)]


def test_words_reach_the_run_as_they_are(study, monkeypatch):
    monkeypatch.setenv("LEVEL", "outside")
    made = write(study, JOBS, settings(python="python", setup=["export LEVEL=inside", "cd /"]))
    assert execute(made, 2) == 0
    assert heard(study, JOBS[1]) == words_heard(JOBS[1])
    assert heard(study, JOBS[0]) == []


def test_a_failure_is_the_scripts_own_and_its_folder_is_looked_after(study, tmp_path):
    made = write(study, JOBS, settings(python="python"))
    assert execute(made, 1, of=1) == 3
    assert (tmp_path / "notes").read_text().split("slurm.end ")[1].split() == [
        *f"{study} 3".split(),
        JOBS[2].id,
    ]


def test_a_packed_task_runs_its_share_of_the_table_and_no_more(study):
    made = write(study, JOBS, settings(python="python", pack=2))
    assert execute(made, 1, tasks=2) == 0
    assert heard(study, JOBS[0]) == words_heard(JOBS[0])
    assert heard(study, JOBS[1]) == words_heard(JOBS[1])
    assert heard(study, JOBS[2]) == []
    assert execute(made, 2, tasks=2) == 3
    assert heard(study, JOBS[2]) == words_heard(JOBS[2])


@pytest.mark.parametrize(("setup", "status"), [(["false"], 1), (["exit 7"], 7), ([], 0)])
def test_a_task_leaves_behind_what_it_is_and_with_what_it_ended(study, setup, status):
    made = write(study, JOBS, settings(python="python", setup=setup))
    assert execute(made, 1) == status
    assert (heard(study, JOBS[0]) == []) == bool(setup)
    folder = study / ".sweeps" / "slurm"
    assert (folder / "77.json").read_text() == made.paths[0].with_suffix(".json").read_text()
    assert [path.name for path in (folder / "ends").iterdir()] == [f"77_1.{status}"]
    # Requeued, it has not ended any more until it does.
    assert execute(made, 1) == status
    assert [path.name for path in (folder / "ends").iterdir()] == [f"77_1.{status}"]


def test_nothing_of_the_environment_needs_to_be_handed_on(study, monkeypatch, tmp_path):
    monkeypatch.setenv("SERMM_RUNS", "~/my runs")
    monkeypatch.setenv("SERMM_IEMOCAP", "/corpora/it")
    monkeypatch.delenv("SERMM_CACHE", raising=False)
    made = write(study, JOBS, settings(python="python"))
    text = made.paths[0].read_text()
    home = Path.home()
    assert f"export SERMM_RUNS='{home}/my runs'\n" in text
    assert f"export SERMM_CACHE={home}/.cache/sermm\n" in text
    assert "export SERMM_IEMOCAP=/corpora/it\n" in text
    assert "srun --export=ALL " in text
    path = next(line for line in text.splitlines() if line.startswith("export PATH"))
    shell = f'{path}; echo "$PATH"'
    done = subprocess.run(["/bin/bash", "-c", shell], env={}, capture_output=True, text=True)
    assert done.stdout.strip().endswith(f"/usr/bin:/bin:{tmp_path / 'bin'}")


def test_retrying_elsewhere_changes_no_place(study, monkeypatch, tmp_path):
    monkeypatch.setenv("SERMM_RUNS", str(tmp_path / "first"))
    made = write(study, JOBS[:1], settings(python="python"))
    submit(study, made)
    monkeypatch.setenv("SERMM_RUNS", str(tmp_path / "second"))
    monkeypatch.chdir(tmp_path)
    again = last_settings(study)
    assert again.environment["SERMM_RUNS"] == str(tmp_path / "first")
    assert again.cwd != str(tmp_path)


def test_long_sweeps_become_several_arrays(study, tmp_path):
    made = write(study, JOBS, settings(at_most=5))
    assert submit(study, made) == ["411", "412"]
    calls = [shlex.split(line) for line in (tmp_path / "notes").read_text().splitlines()]
    assert calls == [["--parsable", *str(path).split()] for path in made.paths]
    arrays = [options_of(path.read_text())[0] for path in made.paths]
    assert arrays == ["--array=1-2%5", "--array=1-1%5"]


def test_a_report_waits_for_all_arrays_and_for_those_before(study, tmp_path):
    made = write(study, JOBS, settings(report=True, partition="gpu", python="python"))
    assert submit(study, made, ["7"]) == ["411", "412", "413"]
    call = (tmp_path / "notes").read_text().splitlines()[-1]
    assert call == f"--parsable --dependency=afterany:7:411:412 {made.report}"
    text = made.report.read_text()
    assert "--partition=gpu" in options_of(text)
    assert not [option for option in options_of(text) if option.startswith(("--gpu", "--array"))]
    done = subprocess.run(["bash", str(made.report)], capture_output=True, text=True, check=True)
    assert done.stdout.split("\n")[1:-2] == ["-m", "sermm.cli.main", "report", str(study)]
    assert made.by_hand[-1] == f"sbatch --dependency=afterany:ID:ID '{made.report}'"


def test_without_sbatch_the_script_is_there_and_named(study, monkeypatch):
    monkeypatch.setenv("PATH", "/nowhere")
    made = write(study, JOBS, settings())
    with pytest.raises(InputError, match="no sbatch") as refused:
        submit(study, made)
    assert f"sbatch '{made.paths[0]}'" in str(refused.value)
    assert made.paths[0].exists()


def test_a_refusal_says_what_may_help(study, program):
    program(
        "sbatch", "echo 'sbatch: error: Invalid generic resource (gres) specification' >&2; exit 1"
    )
    with pytest.raises(InputError, match=r"gpus=0 .*gpus_per_node=TYPE:N, or gres=gpu:TYPE:N"):
        submit(study, write(study, JOBS, settings()))


def test_what_was_taken_before_a_refusal_is_recorded(study, program):
    program("sbatch", '[ -e "$NOTES" ] && { echo "too many" >&2; exit 1; }; touch "$NOTES"; echo 5')
    with pytest.raises(InputError, match=r"too many.* Job 5 of 2 is in the queue already"):
        submit(study, write(study, JOBS, settings()))
    assert (study / ".sweeps" / "slurm" / "5.json").is_file()


@pytest.mark.parametrize(
    ("n", "changes", "said"),
    [
        (5, {"time": "8:00:00"}, "5 tasks of 1 GPU, 4 cores, 08:00:00 each: at most 40 GPU hours"),
        (5, {"time": "90", "gpus": 0, "pack": 4}, "2 tasks of 16 cores, 01:30:00 each: "
         "at most 48 core hours"),
        (1, {"gpus_per_node": "a100:4", "nodes": 2, "devices": 8}, "1 task of 8 GPUs, 32 cores, "
         "the partition's own time limit (time=)"),
    ],
)  # fmt: skip
def test_what_it_costs(n, changes, said):
    assert cost(n, settings(**changes)) == said


def test_what_is_missing_is_submitted_once(study, tmp_path):
    jobs = [PlannedJob((f"fold={n}",)) for n in range(1, 6)]
    asked = settings(memory="3G", pack=3)
    first = hand_over(study, jobs[:3], asked)
    assert (first.ids, len(first.left.missing)) == (("411",), 3)
    for job, state in zip(jobs, ("finished", "failed", "running"), strict=False):
        folder = RunFolder(study / job.id, job.id)
        folder.path.mkdir()
        folder.write_status(state)
    (tmp_path / "queue").write_text(f"411|1|RUNNING|N/A|None|{first.made.paths[0]}\n99|1|x\n")
    more = hand_over(study, jobs, asked)
    assert [job.id for job in more.left.missing] == [job.id for job in jobs[3:]]
    assert (more.left.busy, more.left.settled, more.ids) == (2, 1, ("412",))
    assert last_settings(study).asked.memory == "3G"
    queue = "411|1|COMPLETED|N/A|None|x\n412|1|PENDING|N/A|Priority|x\n"
    (tmp_path / "queue").write_text(queue)
    write_note(study, jobs[1].words, Note(key="another job's"))
    write_note(study, jobs[4].words, Note(error="fold 9 of 5", left_out=True))
    # In another order the words are the same job.
    again = hand_over(study, [PlannedJob(tuple(reversed(job.words))) for job in jobs], asked)
    assert (again.left.missing, again.ids, again.made) == ((), (), None)


def test_two_at_once_do_not_submit_twice(study):
    (study / ".sweeps").mkdir()
    with locked(study / ".sweeps"), pytest.raises(InputError, match="another command is"):
        hand_over(study, JOBS, settings())


def test_a_queue_that_cannot_be_asked_submits_nothing_twice(study, monkeypatch):
    submit(study, write(study, JOBS, settings()))
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(InputError, match="squeue does not answer"):
        hand_over(study, JOBS, settings())


def test_without_a_submission_there_is_nothing_to_retry(tmp_path):
    with pytest.raises(InputError, match=r"nothing of .* was submitted"):
        last_settings(tmp_path)


def test_settings_read_back_what_was_kept():
    found = settings(devices=2, setup=["a"], options=["--b"], time="1:00:00")
    assert SlurmSettings.of(json.loads(json.dumps(found.as_json()))) == found
    assert (found.devices, found.asked.nodes, found.asked.cpus) == (2, 1, 4)
    assert (found.asked.time, found.asked.options, found.asked.setup) == (
        "1:00:00",
        ("--b",),
        ("a",),
    )
    assert (found.asked.requeue, found.asked.signal, found.asked.pack) == (True, "USR1@120", 1)


def test_runs_of_different_devices_are_no_array():
    trainer = RunConfig.of(["trainer.accelerator=cpu"]).trainer
    with pytest.raises(InputError, match=r"trainer.devices=1 and 2"):
        SlurmSettings.for_all(
            settings().asked, [trainer, trainer.model_copy(update={"devices": 2})]
        )
