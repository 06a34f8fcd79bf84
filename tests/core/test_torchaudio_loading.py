"""torchaudio beside a torch that its compiled part does not fit, in an interpreter of its own."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torchaudio
from packaging.version import Version

pytestmark = pytest.mark.skipif(
    Version(torchaudio.__version__) < Version("2.11"),
    reason="torchaudio up to 2.10 cannot do without its compiled part",
)
ROOT = Path(__file__).parents[2]


@pytest.fixture
def python(tmp_path):
    """Runs code where the compiled part of torchaudio cannot be loaded."""
    copy = tmp_path / "torchaudio"
    shutil.copytree(Path(torchaudio.__file__).parent, copy)
    libraries = list(copy.rglob("*torchaudio*.so"))
    assert libraries
    for library in libraries:
        library.write_bytes(b"linked against a CUDA that is not there")

    def run(code):
        environment = {**os.environ, "PYTHONPATH": f"{tmp_path}{os.pathsep}{ROOT}"}
        return subprocess.run(
            [sys.executable, "-c", code], env=environment, capture_output=True, text=True
        )

    return run


def test_transformers_falls_without_the_guard(python):
    assert "OSError" in python("import transformers.audio_utils").stderr


def test_sermm_keeps_torchaudio_and_transformers_alive(python, tmp_path):
    done = python(
        "import sermm\n"
        "from transformers import Wav2Vec2Model\n"
        "import torch, torchaudio\n"
        "from torchaudio.transforms import Resample\n"
        "print(torchaudio.__file__, Resample(8000, 16000)(torch.zeros(80)).shape)"
    )
    assert done.returncode == 0, done.stderr
    assert str(tmp_path) in done.stdout
    assert "[160]" in done.stdout


def test_what_needs_the_compiled_part_says_so(python):
    done = python(
        "import torch\n"
        "from sermm.recognisers.ctc_alignment import token_spans\n"
        "token_spans(torch.zeros(5, 3).log_softmax(-1), [1, 2], 0)"
    )
    assert "InputError: alignment by CTC needs the compiled part of torchaudio" in done.stderr
    assert "TORCH=cpu" in done.stderr


def test_the_command_imports_no_torch_for_it():
    code = "import sermm, sys; print('torch' in sys.modules, 'torchaudio' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT)
    assert done.stdout.split() == ["False", "False"]
