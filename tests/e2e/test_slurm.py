"""A Slurm of its own on this machine: two nodes of four cores each, which it may not have."""

import getpass
import json
import os
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path

import pytest

from sermm.cli.main import main

NEEDED = ("munged", "slurmctld", "slurmd", "sbatch", "srun", "squeue", "scontrol", "scancel")
ABSENT = [name for name in NEEDED if shutil.which(name) is None]
pytestmark = [
    pytest.mark.slurm,
    pytest.mark.slow,
    pytest.mark.timeout(900),
    pytest.mark.skipif(bool(ABSENT), reason=f"no {', '.join(ABSENT)} (Debian: slurm-wlm, munge)"),
    pytest.mark.skipif(os.geteuid() != 0, reason="only root can start a Slurm"),
]
CONFIG = """
ClusterName=test
SlurmctldHost={host}
SlurmUser=root
SlurmdUser=root
AuthInfo=socket={folder}/munge/socket,cred_expire=5
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool-%n
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd-%n.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd-%n.log
SlurmctldPort={ports[0]}
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
ReturnToService=2
JobAcctGatherType=jobacct_gather/none
MpiDefault=none
SlurmdParameters=config_overrides
SchedulerParameters=sched_interval=2
NodeName=n1 NodeHostname={host} NodeAddr=127.0.0.1 Port={ports[1]} CPUs=4 State=UNKNOWN
NodeName=n2 NodeHostname={host} NodeAddr=127.0.0.1 Port={ports[2]} CPUs=4 State=UNKNOWN
PartitionName=all Nodes=n1,n2 Default=YES MaxTime=INFINITE State=UP
"""


def until(happens, limit_s, what):
    limit = time.monotonic() + limit_s
    while not (found := happens()):
        assert time.monotonic() < limit, what() if callable(what) else what
        time.sleep(0.2)
    return found


def free_ports(n):
    sockets = [socket.socket() for _ in range(n)]
    for one in sockets:
        one.bind(("127.0.0.1", 0))
    ports = [one.getsockname()[1] for one in sockets]
    for one in sockets:
        one.close()
    return ports


def ask(*command):
    return subprocess.run(command, capture_output=True, text=True, check=False).stdout


class Cluster:
    """The daemons; those of nodes by the names of the nodes."""

    def __init__(self):
        self.started = {}

    def start(self, *command, name=None):
        quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        self.started[name or command[0]] = subprocess.Popen(command, **quiet)

    def is_idle(self):
        return ask("sinfo", "-h", "-o", "%D %t").split() == ["2", "idle"]

    def lose(self, node):
        """The node is gone at once, as Slurm would find out after some minutes."""
        self.started[node].kill()
        self.started[node].wait(timeout=20)
        ask("scontrol", "update", f"nodename={node}", "state=down", "reason=gone")

    def bring_back(self, node):
        self.start("slurmd", "-D", "-N", node, name=node)
        ask("scontrol", "update", f"nodename={node}", "state=resume")


@pytest.fixture(scope="module")
def cluster():
    """Starts munged, slurmctld and two slurmd; ends them and what they ran."""
    folder = Path(tempfile.mkdtemp(prefix="slurm"))
    # Its configuration is read by ordinary users too.
    folder.chmod(0o755)
    for name in ("munge", "state", "spool-n1", "spool-n2"):
        (folder / name).mkdir()
    key, conf = folder / "munge" / "key", folder / "slurm.conf"
    key.write_bytes(os.urandom(1024))
    key.chmod(0o400)
    host = socket.gethostname().split(".")[0]
    conf.write_text(CONFIG.format(host=host, folder=folder, ports=free_ports(3)))
    for readable in (conf, folder / "munge"):
        readable.chmod(0o755)
    before = {**os.environ}
    os.environ["SLURM_CONF"] = str(conf)
    munge = [f"--{n}={folder}/munge/{n.split('-')[0]}" for n in ("key-file", "socket", "pid-file")]
    munge += [f"--log-file={folder}/munge/log", f"--seed-file={folder}/munge/seed"]
    made = Cluster()
    try:
        made.start("munged", "--foreground", "--force", *munge)
        until((folder / "munge" / "socket").exists, 20, "munged does not start")
        made.start("slurmctld", "-D")
        made.bring_back("n1")
        made.bring_back("n2")
        until(made.is_idle, 60, log_of(folder))
        yield made
    finally:
        subprocess.run(["scancel", "--signal=KILL", "--full", "--user=root"], check=False)
        subprocess.run(["scancel", "--user=root"], check=False)
        until(lambda: not ask("squeue", "-h"), 60, "jobs do not end")
        for process in reversed(made.started.values()):
            process.terminate()
            process.wait(timeout=60)
        os.environ.clear()
        os.environ.update(before)
        shutil.rmtree(folder, ignore_errors=True)


def log_of(folder):
    return lambda: "\n".join(path.read_text()[-2000:] for path in folder.glob("*.log"))


@pytest.fixture(scope="module")
def words(tones, tmp_path_factory):
    """Runs of a few seconds, in a folder whose name has a space."""
    root = tmp_path_factory.mktemp("study") / "with space"
    root.mkdir()
    return words_of(tones, root)


def words_of(tones, root):
    return root / "runs", [
        "data=manifest",
        f"data.manifest={tones}",
        "data.name=tones",
        "protocol=groups5",
        f"cache_dir='{root / 'cache'}'",
        f"runs_dir='{root / 'runs'}'",
        "encoder/speech=mfcc",
        "encoder/text=tiny",
        "encoder.speech.hidden=8",
        "encoder.speech.channels=8",
        "trainer.accelerator=cpu",
        "trainer.patience=null",
        "model.learning.lr=0.003",
        "cpus=1",
    ]


def submit(words, *more):
    """Submits; the id of the array."""
    runs, common = words
    study = next(word.split("=")[1] for word in more if word.startswith("study="))
    known = set((runs / study / ".sweeps" / "slurm").glob("[0-9]*.json"))
    assert main(["submit", *common, *more]) == 0
    new = {
        path
        for path in (runs / study / ".sweeps" / "slurm").glob("*.json")
        if path.stem.isdigit() and path not in known
    }
    return new.pop().stem


def folders(runs, study):
    """The run folders by seed."""
    found = {}
    for path in (runs / study).glob("*/config.yaml"):
        seed = next(
            line.split()[1] for line in path.read_text().splitlines() if line.startswith("seed:")
        )
        found[int(seed)] = path.parent
    return found


def status(folder):
    try:
        return json.loads((folder / "status.json").read_text())
    except FileNotFoundError:
        return {"state": None, "error": None}


def epochs(folder):
    path = folder / "metrics.csv"
    return len(path.read_text().splitlines()) - 1 if path.exists() else 0


def state(task):
    said = dict(
        pair.split("=", 1)
        for pair in ask("scontrol", "show", "job", "-o", task).split()
        if "=" in pair
    )
    return said.get("JobState"), said.get("ExitCode")


def ended(task):
    return until(
        lambda: (found := state(task))[0] not in ("RUNNING", "PENDING", "COMPLETING") and found,
        300,
        lambda: f"{task}: {state(task)}\n{ask('squeue', '-l')}",
    )


@contextmanager
def halted():
    """Nothing that is submitted begins; in the end the queue is emptied."""
    ask("scontrol", "update", "partitionname=all", "state=down")
    try:
        yield
    finally:
        subprocess.run(["scancel", f"--user={getpass.getuser()}"], check=False)
        ask("scontrol", "update", "partitionname=all", "state=up")


# The second of two diverges, which is found out only in training.
BAD = ("model.learning.lr=0.001,1e30", "trainer.clip_norm=null", "trainer.batch_size=8")


def test_an_array_of_single_runs_and_what_slurm_says_of_each(cluster, words, capsys):
    runs, _ = words
    array = submit(words, "study=array", "trainer.max_epochs=1", "seed=0,1", *BAD)
    assert f"as Slurm job {array}" in capsys.readouterr().out
    states = sorted(ended(f"{array}_{index}") for index in (1, 2, 3, 4))
    assert states == [("COMPLETED", "0:0")] * 2 + [("FAILED", "2:0")] * 2
    said = sorted(status(path.parent)["state"] for path in (runs / "array").glob("*/status.json"))
    assert said == ["failed", "failed", "finished", "finished"]
    # A job that failed is submitted again, and nothing else; while it waits, not even that.
    common = f"runs_dir={runs}"
    with halted():
        assert main(["retry", "array", common]) == 0
        assert "submitted 2 runs of study array" in capsys.readouterr().out
        assert main(["retry", "array", common]) == 0
        said = capsys.readouterr().out
        assert "2 of 4 runs are finished, 2 running or waiting" in said
        assert "nothing is missing of array" in said


LONG = ("trainer.max_epochs=40", "trainer.batch_size=2")
WARNED, REQUEUED, CANCELLED, KILLED = range(4)


@pytest.fixture(scope="module")
def stopped(cluster, words):
    """Four runs stopped in mid-epoch, each in its way, and one by its time limit; all ended.

    Beside them two of the four that are never stopped.

    Returns:
        Their folders and what the folders said when they had been stopped.
    """
    runs, _ = words
    limited = submit(
        words, "study=limit", "seed=0", "trainer.max_epochs=100000", "time=1", "signal=null"
    )
    array = submit(words, "study=stopped", "seed=0,1,2,3", *LONG)
    whole = submit(words, "study=whole", f"seed={WARNED},{REQUEUED}", *LONG)
    names = {seed: f"{array}_{seed + 1}" for seed in range(4)}
    until(lambda: len(folders(runs, "stopped")) == 4, 200, lambda: ask("squeue", "-l"))
    found = folders(runs, "stopped")
    for seed, folder in found.items():
        until(lambda folder=folder: epochs(folder) >= 2, 200, f"{seed}: no epoch")
        if seed == WARNED:
            subprocess.run(["scancel", "--signal=USR1", names[seed]], check=True)
        elif seed == REQUEUED:
            subprocess.run(["scontrol", "requeue", names[seed]], check=True)
        elif seed == CANCELLED:
            subprocess.run(["scancel", names[seed]], check=True)
        else:
            os.kill(status(folder)["pid"], signal.SIGKILL)
        said = until(
            lambda folder=folder: (
                status(folder)["state"] in ("interrupted", "failed") and status(folder)
            ),
            60,
            f"{seed} is not stopped",
        )
        assert 2 <= epochs(folder) < 40
        found[seed] = (folder, said)
    for seed in range(4):
        ended(names[seed])
    assert [ended(f"{whole}_{n}") for n in (1, 2)] == [("COMPLETED", "0:0")] * 2
    ended(f"{limited}_1")
    (limit,) = folders(runs, "limit").values()
    return {**found, "names": names, "limit": (limit, status(limit)), "limited": limited}


def test_a_warning_in_mid_epoch_requeues_the_job(stopped):
    _, said = stopped[WARNED]
    name = stopped["names"][WARNED]
    assert said["state"] == "interrupted"
    assert said["error"] == f"preempted: SIGUSR1 from Slurm, job {name} requeued"
    assert said["slurm"] == name


def test_a_requeue_by_slurm_is_told(stopped):
    _, said = stopped[REQUEUED]
    assert said["state"] == "interrupted"
    assert f"Slurm requeued job {stopped['names'][REQUEUED]}" in said["error"]


@pytest.mark.parametrize("seed", [WARNED, REQUEUED])
def test_both_resume_to_the_same_predictions_bit_for_bit(stopped, words, seed):
    folder, _ = stopped[seed]
    whole = folders(words[0], "whole")
    assert state(stopped["names"][seed]) == ("COMPLETED", "0:0")
    for name in ("predictions.csv", "metrics.csv"):
        assert (folder / name).read_text() == (whole[seed] / name).read_text()


def test_scancel_is_told_and_not_requeued(stopped):
    _, said = stopped[CANCELLED]
    assert said["state"] == "interrupted"
    assert f"Slurm job {stopped['names'][CANCELLED]} was cancelled" in said["error"]
    assert state(stopped["names"][CANCELLED])[0] == "CANCELLED"


def test_a_killed_process_is_told_by_its_script(stopped):
    _, said = stopped[KILLED]
    assert said["state"] == "failed"
    assert "ended by SIGKILL" in said["error"]
    assert state(stopped["names"][KILLED]) == ("FAILED", "137:0")


def test_the_time_limit_is_told(stopped):
    _, said = stopped["limit"]
    assert said["state"] == "interrupted"
    assert "the time limit 00:01:00" in said["error"]
    assert state(f"{stopped['limited']}_1")[0] == "TIMEOUT"


def test_retry_submits_only_what_is_missing(stopped, words, capsys):
    runs, _ = words
    assert main(["retry", "stopped", f"runs_dir={runs}", "dry_run=true"]) == 0
    assert "2 runs, 2 tasks of 1 core" in capsys.readouterr().out
    assert main(["retry", "stopped", f"runs_dir={runs}"]) == 0
    assert "submitted 2 runs of study stopped" in capsys.readouterr().out
    for seed in (CANCELLED, KILLED):
        until(lambda seed=seed: status(stopped[seed][0])["state"] == "finished", 200, "not done")
    assert main(["retry", "stopped", f"runs_dir={runs}"]) == 0
    assert "nothing is missing" in capsys.readouterr().out


def test_processes_on_two_nodes_make_one_run(cluster, words):
    runs, _ = words
    array = submit(
        words,
        "study=two",
        "trainer.max_epochs=1",
        "trainer.batch_size=4",
        "trainer.devices=2",
        "nodes=2",
        'setup=["export MASTER_ADDR=127.0.0.1"]',
    )
    assert ended(f"{array}_1") == ("COMPLETED", "0:0")
    (log,) = (runs / "two" / ".sweeps" / "logs").glob("[0-9a-f]*.log")
    assert "2 node(s), 2 process(es) of srun, 2 device(s)" in log.read_text()
    (folder,) = folders(runs, "two").values()
    assert status(folder)["state"] == "finished"


def test_the_launcher_waits_for_its_runs_and_says_what_failed(cluster, words, capsys):
    _, common = words
    sweep = ["study=waited", "trainer.max_epochs=1", *BAD]
    launcher = ["hydra/launcher=slurm", "hydra.launcher.cpus=1"]
    assert main(["train", "-m", *common[:-1], *sweep, *launcher]) == 1
    said = capsys.readouterr()
    assert "submitted 2 runs as Slurm job" in said.out
    assert "INCOMPLETE STUDY waited" in said.out
    assert "training diverged" in said.err


def told(runs, study, capsys):
    """What `sermm status` prints, and its exit status."""
    capsys.readouterr()
    code = main(["status", study, f"runs_dir={runs}", "state=all"])
    return capsys.readouterr().out, code


def test_setup_that_fails_is_told_with_its_log_and_its_last_line(cluster, words, capsys):
    runs, common = words
    array = submit(words, "study=setup", 'setup=["nosuchcommand"]')
    assert ended(f"{array}_1") == ("FAILED", "127:0")
    said, code = told(runs, "setup", capsys)
    assert code == 1
    assert "study setup, 1 run: 1 failed" in said
    assert f"Slurm job {array}_1 ended with exit status 127: " in said
    assert "nosuchcommand: command not found" in said
    log = runs / "setup" / ".sweeps" / "logs" / f"slurm-{array}_1.log"
    assert f"  {log}\n" in said
    assert log.is_file()
    # The waiting launcher says the same.
    launcher = ["hydra/launcher=slurm", "hydra.launcher.cpus_per_task=1"]
    broken = "hydra.launcher.setup=[nosuchcommand]"
    assert main(["train", "-m", *common[:-1], "study=setup2", *launcher, broken]) == 1
    failed = capsys.readouterr().err
    assert "ended with exit status 127" in failed
    assert Path(failed.rpartition("; log: ")[2].splitlines()[0]).is_file()


def test_nothing_needs_to_be_exported(cluster, words, monkeypatch):
    runs, common = words
    monkeypatch.setenv("SBATCH_EXPORT", "NONE")
    monkeypatch.setenv("SERMM_RUNS", str(runs))
    # Where Python and its packages are is all that the shell of a login does not know here.
    python = f"setup=['export PYTHONPATH={os.pathsep.join(sys.path)}']"
    common = [word for word in common if not word.startswith("runs_dir=")]
    array = submit((runs, common), "study=bare", "trainer.max_epochs=1", python)
    assert ended(f"{array}_1") == ("COMPLETED", "0:0")
    assert [status(folder)["state"] for folder in folders(runs, "bare").values()] == ["finished"]


def test_what_waits_and_what_was_cancelled_before_it_began(cluster, words, capsys):
    runs, common = words
    with halted():
        array = submit(words, "study=waits", "seed=0,1")
        said, code = told(runs, "waits", capsys)
        assert (code, "study waits, 2 runs: 2 queued" in said) == (0, True)
        assert f"PartitionDown, Slurm {array}_1" in said
        # Given again, nothing is submitted, by whichever command.
        assert main(["submit", *common, "study=waits", "seed=1,0"]) == 0
        assert "nothing is missing of waits" in capsys.readouterr().out
        assert main(["submit", *common, "study=waits", "seed=0,1,2", "dry_run=true"]) == 0
        assert "1 run, 1 task of 1 core" in capsys.readouterr().out
        subprocess.run(["scancel", f"{array}_2"], check=True)
        until(lambda: f"{array}_2" not in ask("squeue", "-hr", "-o", "%i"), 20, "not cancelled")
        said, code = told(runs, "waits", capsys)
        assert (code, "1 queued, 1 not submitted, 1 cancelled" in said) == (0, True)


def test_the_launcher_waits_for_what_is_there(cluster, words):
    runs, common = words
    sweep = ["study=again", "trainer.max_epochs=1", "seed=0,1", "hydra/launcher=slurm"]
    command = [sys.executable, "-m", "sermm", "train", "-m", *common[:-1], *sweep]
    command.append("hydra.launcher.cpus=1")
    records = runs / "again" / ".sweeps" / "slurm"
    ask("scontrol", "update", "partitionname=all", "state=down")
    first = subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        # As in a terminal: a shell's background jobs ignore it.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    until(lambda: list(records.glob("[0-9]*.json")), 120, "nothing submitted")
    time.sleep(2)
    first.send_signal(signal.SIGINT)
    said, _ = first.communicate(timeout=60)
    assert "the runs go on in Slurm" in said
    assert first.returncode == 130
    ask("scontrol", "update", "partitionname=all", "state=up")
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == 0, done.stderr
    assert len([path for path in records.glob("*.json") if path.stem.isdigit()]) == 1
    found = folders(runs, "again").values()
    assert [status(folder)["state"] for folder in found] == ["finished", "finished"]


def test_a_script_that_is_submitted_by_hand_is_known(cluster, words, capsys):
    runs, common = words
    assert main(["submit", *common, "study=hand", "trainer.max_epochs=1", "dry_run=true"]) == 0
    command = capsys.readouterr().out.rstrip().splitlines()[-1]
    said, _ = told(runs, "hand", capsys)
    assert "1 not submitted" in said
    with halted():
        subprocess.run(shlex.split(command), check=True, capture_output=True)
        said, _ = told(runs, "hand", capsys)
        assert "1 queued" in said
        assert main(["retry", "hand", f"runs_dir={runs}"]) == 0
        assert "nothing is missing of hand" in capsys.readouterr().out
    array = subprocess.run(
        [
            *shlex.split(command),
        ],
        check=True,
        capture_output=True,
        text=True,
    )
    assert ended(f"{array.stdout.split()[-1]}_1") == ("COMPLETED", "0:0")
    said, _ = told(runs, "hand", capsys)
    assert "1 run: 1 finished" in said


def test_a_report_is_made_when_all_have_ended(cluster, words):
    runs, _ = words
    array = submit(words, "study=told", "trainer.max_epochs=1", "report=true")
    page = runs / "told" / "report" / "index.html"
    until(page.is_file, 120, lambda: ask("squeue", "-l"))
    assert status(*folders(runs, "told").values())["state"] == "finished"
    assert state(f"{array}_1") == ("COMPLETED", "0:0")


def test_a_node_that_goes_away_in_the_middle(cluster, words, capsys):
    """Its run goes back into the queue, and on where it was when the node is there again."""
    runs, _ = words
    array = submit(words, "study=node", *LONG, "nodelist=n2")
    until(lambda: folders(runs, "node"), 200, lambda: ask("squeue", "-l"))
    (folder,) = folders(runs, "node").values()
    until(lambda: epochs(folder) >= 2, 200, "no epoch")
    cluster.lose("n2")
    os.kill(status(folder)["pid"], signal.SIGKILL)
    assert status(folder)["state"] == "running"
    until(lambda: state(f"{array}_1")[0] == "PENDING", 60, lambda: str(state(f"{array}_1")))
    said, code = told(runs, "node", capsys)
    assert (code, "1 run: 1 queued" in said) == (0, True)
    before = epochs(folder)
    cluster.bring_back("n2")
    assert ended(f"{array}_1") == ("COMPLETED", "0:0")
    said, _ = told(runs, "node", capsys)
    assert "1 run: 1 finished" in said
    assert (folder / "metrics.csv").read_text().count("\n") == 41 > before


@pytest.mark.skipif(
    not (shutil.which("useradd") and shutil.which("runuser")), reason="no useradd, or no runuser"
)
def test_an_ordinary_user(cluster, tones):
    """Submits, asks and is told, all by command: of other people's jobs nothing can be seen."""
    name = "sermm-test"
    if subprocess.run(["id", name], capture_output=True, check=False).returncode:
        subprocess.run(["useradd", "--no-create-home", name], check=True)
    home = Path(tempfile.mkdtemp(prefix="user"))
    shutil.copytree(tones.parent, home / "tones")
    subprocess.run(["chown", "-R", name, str(home)], check=True)
    python = next((one for one in (sys.executable, "/usr/bin/python3") if imports(one, name)), None)
    if python is None:
        pytest.skip("no Python that an ordinary user may start has what sermm needs")

    def sermm(*given):
        command = ["runuser", "-u", name, "--", "env", "-C", str(home), *as_user(home), python]
        command += ["-m", "sermm", *given]
        return subprocess.run(command, capture_output=True, text=True, check=False, timeout=200)

    try:
        _, common = words_of(home / "tones" / tones.name, home)
        more = ["study=mine", "trainer.max_epochs=1", "seed=0,1"]
        done = sermm("submit", *common, *more)
        assert done.returncode == 0, done.stderr
        array = done.stdout.partition("Slurm job ")[2].split()[0]
        again = sermm("submit", *common, *more)
        assert "nothing is missing of mine" in again.stdout
        assert [ended(f"{array}_{n}") for n in (1, 2)] == [("COMPLETED", "0:0")] * 2
        seen = sermm("status", "mine", f"runs_dir={home / 'runs'}")
        assert (seen.returncode, seen.stdout) == (0, "study mine, 2 runs: 2 finished\n")
        failing = sermm("submit", *common, "study=bad", "setup=[nosuchcommand]")
        array = failing.stdout.partition("Slurm job ")[2].split()[0]
        assert ended(f"{array}_1") == ("FAILED", "127:0")
        seen = sermm("status", "bad", f"runs_dir={home / 'runs'}")
        assert (seen.returncode, "1 run: 1 failed" in seen.stdout) == (1, True)
    finally:
        subprocess.run(["userdel", name], check=False, capture_output=True)
        shutil.rmtree(home)


def as_user(home):
    return [f"PYTHONPATH={os.pathsep.join(sys.path)}", f"HOME={home}", "OMP_NUM_THREADS=1"]


def imports(python, name):
    command = ["runuser", "-u", name, "--", "env", *as_user("/tmp"), python, "-c"]
    command.append("import sermm.engine.training.fit, hydra_plugins")
    return not subprocess.run(command, capture_output=True, check=False).returncode


def test_packed_runs_share_an_array_task(cluster, words):
    runs, _ = words
    array = submit(words, "study=packed", "trainer.max_epochs=1", "seed=0,1,2", "pack=2")
    assert [ended(f"{array}_{n}") for n in (1, 2)] == [("COMPLETED", "0:0")] * 2
    said = {seed: status(folder)["slurm"] for seed, folder in folders(runs, "packed").items()}
    assert said == {0: f"{array}_1", 1: f"{array}_1", 2: f"{array}_2"}


def test_processes_and_devices_that_disagree_are_refused(cluster, words):
    _, common = words
    command = ["srun", "--ntasks-per-node=2", "--job-name=sermm", sys.executable, "-m"]
    command += ["sermm.cli.main", "train", *common[:-1], "study=x"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=200)
    assert done.returncode == 2
    assert "started 2 processes" in done.stderr
    assert "set trainer.devices=2" in done.stderr
