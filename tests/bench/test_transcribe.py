import pytest
import soundfile

from sermm.bench import transcribe
from sermm.bench.features import noise
from sermm.bench.transcribe import own_case, save_random
from sermm.cli.main import main
from sermm.core.errors import InputError


def test_both_are_timed_and_the_texts_are_the_same(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(transcribe, "_MOST_TOKENS", 6)
    monkeypatch.setattr(transcribe, "_TURNS", 1)
    save_random(tmp_path)
    for n, clip in enumerate(noise(3)):
        soundfile.write(tmp_path / f"{n}.wav", clip.numpy(), 16000)
    words = ["bench", "transcribe", f"id={tmp_path}", f"clips={tmp_path}"]
    assert main(words) == 0
    lines = capsys.readouterr().out.splitlines()
    assert {line.split()[0] for line in lines} == {"transcribe"}
    printed = " ".join(" ".join(lines).split())
    assert "pipeline, greedy: real-time factor" in printed
    assert "32-true: speed to the pipeline's" in printed
    assert "32-true: texts as the greedy one's 3.000 of 3" in printed


def test_a_folder_without_audio(tmp_path):
    with pytest.raises(InputError, match=r"clips=.*: no audio there"):
        own_case(None, str(tmp_path))
