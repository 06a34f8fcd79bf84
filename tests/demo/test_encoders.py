import torch

from sermm.core.batch import Batch
from sermm.core.ragged import Ragged
from sermm.demo.encoders import DemoSpeechEncoder, DemoTextEncoder, checkpoint


def test_checkpoints_are_written_once_and_are_the_same_everywhere(tmp_path, capsys):
    state = torch.random.get_rng_state()
    folder = checkpoint(tmp_path / "a", "speech")
    assert torch.equal(torch.random.get_rng_state(), state)
    first = DemoSpeechEncoder(tmp_path / "a").hf.state_dict()
    again = DemoSpeechEncoder(tmp_path / "b").hf.state_dict()
    torch.testing.assert_close(first, again, rtol=0, atol=0)
    assert checkpoint(tmp_path / "a", "speech") == folder
    assert [path.name for path in (tmp_path / "a").iterdir()] == [folder.rpartition("/")[2]]
    # What is stored of one is found by the other.
    described = [DemoSpeechEncoder.described(root=tmp_path / n, layers="all") for n in "ab"]
    assert described[0] == described[1]
    assert "it/s" not in capsys.readouterr().err


def test_text_knows_the_words_of_the_demo_and_speech_has_four_layers(tmp_path):
    text = DemoTextEncoder(tmp_path)
    (ids,) = text.tokenize(["I am so furious about the kitchen sink!"])
    unknown = text.tokenize(["zzz"])[0][1]
    assert unknown not in ids
    assert len(ids) == 2 + 9
    speech = DemoSpeechEncoder(tmp_path, layers="transformer")
    batch = Batch(("a",), waveform=Ragged.pack([torch.randn(16000)]))
    # 40 ms a frame.
    assert speech(batch).values.shape == (25, 4, 64)
    assert speech.frame_s == 0.04


def test_other_words_are_another_checkpoint(tmp_path, monkeypatch):
    before = checkpoint(tmp_path, "text")
    monkeypatch.setattr("sermm.demo.encoders.vocabulary", lambda: ["hello"])
    assert checkpoint(tmp_path, "text") != before
    assert len(DemoTextEncoder(tmp_path).tokenize(["hello"])[0]) == 3
