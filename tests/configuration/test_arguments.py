"""What of a command line is a word, a key of the verb's own, or for Hydra."""

from sermm.configuration.arguments import parse, parse_own, runs_folder


def test_a_text_of_500_words_is_a_value_and_no_file(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    text = " ".join(["word"] * 500)
    words, own, others = parse_own(["run", f"text={text}", "fold=1"], {"text": None}, "usage")
    assert words == ["run"]
    assert own == {"text": text}
    assert others == ["fold=1"]


def test_an_existing_file_is_a_word_even_with_an_equals_sign(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "text=a.wav").touch()
    assert parse_own(["text=a.wav"], {"text": None}, "usage")[0] == ["text=a.wav"]


def test_a_home(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    given = parse(["to=~/page", "x=a~/b"], {"to": None, "x": None}, "usage")[1]
    assert given == {"to": f"{tmp_path}/page", "x": "a~/b"}
    monkeypatch.setenv("SERMM_RUNS", "~/runs")
    assert runs_folder(None) == tmp_path / "runs"
