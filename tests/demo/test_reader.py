"""The demo corpus on disk, made by the real synthesiser and read by the IEMOCAP reader."""

import importlib.util
import os
import shutil
import signal
import subprocess
import sys
import time
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import soundfile

from sermm.core.errors import InputError
from sermm.core.files import write_json
from sermm.core.transcripts import spoken
from sermm.demo import corpus as demo_corpus
from sermm.demo.reader import Demo
from sermm.demo.speech import Synthesiser

REPOSITORY = Path(__file__).parents[2]
without_espeak = importlib.util.find_spec("espeakng_loader") is None
needs_espeak = [
    pytest.mark.demo,
    pytest.mark.skipif(without_espeak, reason='needs espeak-ng: pip install "sermm[demo]"'),
]


def demo(root, **changes):
    return Demo(root, utterances=40, **changes)


def files(folder):
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    if without_espeak:
        pytest.skip('needs espeak-ng: pip install "sermm[demo]"')
    made = demo(tmp_path_factory.mktemp("demo"))
    made.read()
    return made


class TestWithSynthesiser:
    pytestmark = needs_espeak

    def test_it_reads_back_without_a_problem(self, corpus):
        reading = corpus.read()
        assert reading.problems == ()
        assert len(reading.utterances) == 65
        assert {u.corpus for u in reading.utterances} == {"demo"}
        assert all(u.transcript and u.votes for u in reading.utterances)
        assert len({u.speaker for u in reading.utterances}) == 10

    def test_another_process_makes_the_same_bytes(self, corpus, tmp_path):
        program = (
            "import sys; from sermm.demo.reader import Demo; "
            "print(Demo(sys.argv[1], utterances=40).read() and '')"
        )
        environment = {**os.environ, "PYTHONHASHSEED": "1", "PYTHONPATH": str(REPOSITORY)}
        subprocess.run([sys.executable, "-c", program, str(tmp_path)], env=environment, check=True)
        again = demo(tmp_path)
        assert again.folder.name == corpus.folder.name
        assert files(again.folder) == files(corpus.folder)

    def test_other_options_are_another_folder(self, corpus, tmp_path):
        assert demo(tmp_path).folder.name == corpus.folder.name
        assert demo(tmp_path, seed=1).folder.name != corpus.folder.name
        assert demo(tmp_path, conflict=0.3).folder.name != corpus.folder.name

    def test_the_audio_is_16_khz_mono_speech(self, corpus):
        for utterance in corpus.read().utterances:
            info = soundfile.info(utterance.path)
            assert (info.samplerate, info.channels, info.subtype) == (16_000, 1, "PCM_16")
            samples, _ = soundfile.read(utterance.path)
            assert 0.5 < info.duration < 6
            assert 0.005 < np.sqrt(np.mean(samples**2)) < 0.3
            assert np.abs(samples).max() < 1.0

    def test_an_utterance_is_a_part_of_its_dialogue(self, corpus):
        first = corpus.read().utterances[0]
        samples, _ = soundfile.read(first.path, dtype="int16")
        session = first.path.parents[3]
        dialogue, _ = soundfile.read(
            session / "dialog/wav" / f"{first.dialogue}.wav", dtype="int16"
        )
        windows = np.lib.stride_tricks.sliding_window_view(dialogue, 200)
        starts = np.flatnonzero((windows == samples[:200]).all(axis=1))
        assert len(starts) == 1
        assert (dialogue[starts[0] :][: len(samples)] == samples).all()

    def test_alignments_say_the_words_in_order_within_the_audio(self, corpus):
        for utterance in corpus.read().utterances:
            words = corpus.spans(utterance, "word")
            said = spoken(utterance.transcript).upper()
            if not said or not words:
                continue
            assert [w.symbol for w in words] == [
                "".join(filter(str.isalpha, w)) for w in said.split()
            ]
            assert all(a.end_s <= b.start_s for a, b in pairwise(words))
            assert 0 < words[0].start_s < words[-1].end_s <= soundfile.info(utterance.path).duration

    @pytest.mark.parametrize("level", ["phone", "syllable"])
    def test_phones_and_syllables_fill_the_words(self, corpus, level):
        for utterance in corpus.read().utterances:
            parts = corpus.spans(utterance, level)
            for word in corpus.spans(utterance, "word"):
                inside = [p for p in parts if word.start_s <= p.start_s < word.end_s]
                assert inside[0].start_s == word.start_s
                assert inside[-1].end_s == word.end_s
                for before, after in pairwise(inside):
                    assert before.end_s == after.start_s

    def test_aligned_speech_is_louder_than_the_rest(self, corpus):
        for utterance in corpus.read().utterances:
            words = corpus.spans(utterance, "word")
            if not words:
                continue
            samples, rate = soundfile.read(utterance.path)
            voiced = samples[round(words[0].start_s * rate) : round(words[-1].end_s * rate)]
            before = samples[: round(words[0].start_s * rate)]
            assert np.std(voiced) > 10 * np.std(before)

    def test_the_planted_oddities_are_there(self, corpus):
        utterances = corpus.read().utterances
        tree = corpus.folder / "IEMOCAP_full_release"
        laughing = [u for u in utterances if u.transcript == "[LAUGHTER]"]
        assert len(laughing) == 5
        assert all(corpus.spans(u, "syllable") == () for u in laughing)
        unaligned = [u for u in utterances if not corpus.spans(u, "word") and u not in laughing]
        assert [u.group for u in unaligned] in (["3"], [])
        assert len(list(tree.rglob("*.wdseg"))) == len(utterances) - 1
        assert len(list(tree.rglob("._*"))) == 15
        lines = [
            line
            for path in sorted(tree.rglob("transcriptions/Ses*.txt"))
            for line in path.read_text().splitlines()
        ]
        assert (
            sum("_FXX" in line for line in lines) == sum(line[:2] == "M:" for line in lines) == 40
        )

    def test_turns_count_in_the_order_of_time(self, corpus):
        by_dialogue = {}
        for utterance in corpus.read().utterances:
            by_dialogue.setdefault(utterance.dialogue, {})[utterance.turn] = utterance.speaker
        for speakers in by_dialogue.values():
            talkers = [speakers[i] for i in range(len(speakers))]
            assert all(a != b for a, b in pairwise(talkers))

    def test_who_finishes_second_keeps_what_is_there(self, corpus, tmp_path, monkeypatch):
        ours = demo(tmp_path)

        def other_process_finishes(path, value):
            write_json(path, value)
            shutil.copytree(corpus.folder, ours.folder)
            (ours.folder / "theirs").touch()

        monkeypatch.setattr(demo_corpus, "write_json", other_process_finishes)
        assert len(ours.read().utterances) == 65
        assert (ours.folder / "theirs").exists()
        assert list(tmp_path.iterdir()) == [ours.folder]

    def test_a_failure_half_way_leaves_nothing(self, tmp_path, monkeypatch):
        say = Synthesiser.say
        said = []

        def failing(self, text, prosody):
            said.append(text)
            if len(said) > 20:
                raise InputError("the synthesiser ended")
            return say(self, text, prosody)

        monkeypatch.setattr(Synthesiser, "say", failing)
        with pytest.raises(InputError, match="the synthesiser ended"):
            demo(tmp_path).read()
        assert list(tmp_path.iterdir()) == []

    def test_killed_half_way_leaves_no_half_corpus(self, tmp_path):
        program = "import sys; from sermm.demo.reader import Demo; Demo(sys.argv[1]).read()"
        environment = {**os.environ, "PYTHONPATH": str(REPOSITORY)}
        process = subprocess.Popen([sys.executable, "-c", program, str(tmp_path)], env=environment)
        while not list(tmp_path.rglob("*.wav")):
            assert process.poll() is None
            time.sleep(0.02)
        process.send_signal(signal.SIGKILL)
        process.wait()
        assert not Demo(tmp_path).folder.exists()

    def test_a_damaged_corpus_is_refused(self, corpus, tmp_path):
        made = demo(tmp_path)
        shutil.copytree(corpus.folder, made.folder)
        gone = made.read().utterances[0].path
        gone.unlink()
        with pytest.raises(InputError, match=gone.stem):
            demo(tmp_path).read()
        (made.folder / "counts.json").unlink()
        with pytest.raises(InputError, match=r"counts.json cannot be read .*; remove "):
            demo(tmp_path).read()

    def test_a_synthesiser_that_dies_is_an_error_not_a_hang(self, monkeypatch):
        from sermm.demo.prosody import Prosody

        strange = Prosody("no-such-voice", 50, 50, 175, -26.0, 0.0)
        with Synthesiser() as synthesiser, pytest.raises(InputError, match="ended with status 1"):
            synthesiser.say("hello.", strange)


def test_without_the_extra_the_error_names_it(tmp_path, monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)
    with pytest.raises(InputError, match=r'pip install "sermm\[demo\]"'):
        demo(tmp_path).read()
    assert list(tmp_path.iterdir()) == []


def test_no_root_is_an_error():
    with pytest.raises(InputError, match=r"no root is given; set data\.root"):
        Demo(None)


def test_a_root_that_cannot_be_written(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match=r"cannot make a folder in .*file.* set cache_dir"):
        demo(tmp_path / "file").read()


def test_nothing_else_loads_the_synthesiser():
    package = REPOSITORY / "sermm"
    naming = [p.name for p in package.rglob("*.py") if "import espeakng_loader" in p.read_text()]
    assert naming == ["synthesiser.py"]
    assert "demo.synthesiser" not in Path(demo_corpus.__file__).read_text()
