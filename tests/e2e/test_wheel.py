"""The wheel, installed into an empty environment outside the checkout, trains."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def run(*command, cwd):
    environment = {k: v for k, v in os.environ.items() if k not in {"PYTHONPATH", "VIRTUAL_ENV"}}
    done = subprocess.run(
        command, cwd=cwd, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_the_wheel_trains_outside_the_checkout(train_words, tmp_path):
    uv = Path(sys.executable).parent / "uv"
    if not uv.exists():
        pytest.skip("uv is not in this environment; `make setup` puts it there")
    run(sys.executable, "-m", "build", "--wheel", "--no-isolation", "-o", str(tmp_path), cwd=ROOT)
    (wheel,) = tmp_path.glob("*.whl")
    run(sys.executable, "-m", "venv", "--without-pip", "env", cwd=tmp_path)
    python = str(tmp_path / "env/bin/python")
    install = [str(uv), "pip", "install", "--quiet", "--python", python]
    run(*install, "--require-hashes", "-r", str(ROOT / "requirements.lock"), cwd=tmp_path)
    run(*install, "--no-deps", str(wheel), cwd=tmp_path)
    where = run(python, "-c", "import sermm; print(sermm.__file__)", cwd=tmp_path)
    assert str(tmp_path / "env") in where
    words = [*train_words, "model=text_only", "trainer.max_epochs=1"]
    said = run(str(tmp_path / "env/bin/sermm"), *words, cwd=tmp_path)
    assert "test UA" in said
    assert (tmp_path / "runs").is_dir()
