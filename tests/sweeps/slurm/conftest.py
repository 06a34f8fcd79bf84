import os

import pytest


@pytest.fixture
def program(tmp_path):
    """Writes a program of Bash that stands in for one of Slurm."""
    folder = tmp_path / "bin"
    folder.mkdir()

    def write(name, text):
        (folder / name).write_text(f"#!/bin/bash\n{text}\n")
        (folder / name).chmod(0o755)

    return write


@pytest.fixture
def study(tmp_path, monkeypatch, program):
    """A study on a path with spaces, and programs that note how they are called."""
    programs = {
        # Starts its command once for each task, as srun does.
        "srun": "shift 3; for SLURM_PROCID in $(seq 0 $((TASKS - 1))); do export SLURM_PROCID; "
        '"$@" & pids="$pids $!"; done; worst=0; for p in $pids; do wait $p || worst=$?; done; '
        "exit $worst",
        "python": 'printf "%s\\n" "$SLURM_PROCID" "$@"; echo; case "$*" in *slurm.end*) echo '
        '"$@" >>"$NOTES";; *fold=9*) exit 3;; esac',
        "sbatch": 'echo "$@" >>"$NOTES"; echo "41$(wc -l <"$NOTES");cluster"',
        "squeue": 'cat "$QUEUE"',
        "scontrol": 'echo "MaxArraySize            = 3"',
    }
    for name, text in programs.items():
        program(name, text)
    monkeypatch.setenv("PATH", str(tmp_path / "bin"), prepend=os.pathsep)
    monkeypatch.setenv("NOTES", str(tmp_path / "notes"))
    monkeypatch.setenv("QUEUE", str(tmp_path / "queue"))
    (tmp_path / "queue").touch()
    folder = tmp_path / "runs and" / "my study"
    folder.mkdir(parents=True)
    return folder
