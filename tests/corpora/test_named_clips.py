"""RAVDESS and EmoDB, whose file names say everything."""

from pathlib import Path

import pytest
from hydra.utils import instantiate
from omegaconf import OmegaConf

from sermm.core.errors import InputError
from sermm.corpora.emodb import EmoDb
from sermm.corpora.ravdess import Ravdess

CONF = Path(__file__).parents[2] / "conf" / "data"


def touch(root, *names):
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    return root


def shipped(name, root):
    config = OmegaConf.load(CONF / f"{name}.yaml")
    config.root = str(root)
    return instantiate(config)


def test_ravdess_in_actor_folders_and_flat(tmp_path):
    touch(
        tmp_path,
        "Actor_01/03-01-05-02-01-02-01.wav",
        "Actor_02/03-01-02-01-02-01-02.FLAC",
        "03-01-08-01-01-01-24.wav",
    )
    reading = shipped("ravdess", tmp_path).read()
    assert reading.problems == ()
    angry, calm, surprised = sorted(reading.utterances, key=lambda u: u.speaker)
    assert angry.id == "03-01-05-02-01-02-01"
    assert (angry.label, angry.speaker, angry.gender) == ("ang", "01", "m")
    assert angry.transcript == "Kids are talking by the door."
    assert angry.path == tmp_path / "Actor_01/03-01-05-02-01-02-01.wav"
    assert (calm.label, calm.speaker, calm.gender) == ("cal", "02", "f")
    assert calm.transcript == "Dogs are sitting by the door."
    assert (surprised.label, surprised.speaker, surprised.group) == ("sur", "24", None)
    assert [u.id for u in reading.utterances] == sorted(u.id for u in reading.utterances)


def test_ravdess_passes_over_songs_films_and_hidden_files(tmp_path):
    touch(
        tmp_path,
        "Actor_01/03-01-05-02-01-02-01.wav",
        "Actor_01/03-02-05-02-01-02-01.wav",
        "Actor_01/01-01-05-02-01-02-01.mp4",
        "Actor_01/._03-01-05-02-01-02-01.wav",
    )
    reading = shipped("ravdess", tmp_path).read()
    assert (len(reading.utterances), reading.problems) == (1, ())


def test_ravdess_copied_twice_counts_once(tmp_path):
    touch(tmp_path, "Actor_01/03-01-05-02-01-02-01.wav", "more/03-01-05-02-01-02-01.wav")
    reading = shipped("ravdess", tmp_path).read()
    assert len(reading.utterances) == 1
    (problem,) = reading.problems
    assert problem.kind == "duplicate_id"
    assert problem.where == str(tmp_path / "more/03-01-05-02-01-02-01.wav")


@pytest.mark.parametrize(
    ("corpus", "good", "bad"),
    [
        ("ravdess", "03-01-05-02-01-02-01.wav", "03-01-09-02-01-02-01.wav"),
        ("ravdess", "03-01-05-02-01-02-01.wav", "noise.wav"),
        ("emodb", "03a01Fa.wav", "03a01Xa.wav"),
        ("emodb", "03a01Fa.wav", "03a03Fa.wav"),
    ],
)
def test_a_strange_name_is_a_problem(corpus, good, bad, tmp_path):
    reading = shipped(corpus, touch(tmp_path, good, bad)).read()
    assert len(reading.utterances) == 1
    assert [(p.kind, p.where) for p in reading.problems] == [
        ("unexpected_name", str(tmp_path / bad))
    ]


def test_emodb(tmp_path):
    touch(tmp_path, "wav/03a01Fa.wav", "wav/16b10Lb.flac", "wav/08a05Nb.wav")
    happy, neutral, bored = shipped("emodb", tmp_path).read().utterances
    assert (happy.id, happy.label, happy.speaker, happy.gender) == ("03a01Fa", "hap", "03", "m")
    assert happy.transcript == "Der Lappen liegt auf dem Eisschrank."
    assert (neutral.label, neutral.speaker, neutral.gender) == ("neu", "08", "f")
    assert neutral.transcript.endswith("oben neben dem Holzstück.")
    assert (bored.label, bored.speaker, bored.gender) == ("bor", "16", "f")


@pytest.mark.parametrize(
    ("letter", "code"),
    [
        ("W", "ang"),
        ("L", "bor"),
        ("E", "dis"),
        ("A", "fea"),
        ("F", "hap"),
        ("T", "sad"),
        ("N", "neu"),
    ],
)
def test_emodb_emotions(letter, code, tmp_path):
    reading = shipped("emodb", touch(tmp_path, f"03a01{letter}a.wav")).read()
    assert reading.utterances[0].label == code


def test_a_map_may_leave_an_emotion_out_or_forget_it(tmp_path):
    touch(tmp_path, "03a01La.wav", "03a01Wa.wav", "03a01Ta.wav")
    reading = EmoDb(tmp_path, {"boredom": None, "anger": "fury"}).read()
    assert {u.id: u.label for u in reading.utterances} == {
        "03a01La": None,
        "03a01Ta": None,
        "03a01Wa": "fury",
    }
    assert [(p.where, p.kind) for p in reading.problems] == [("03a01Ta", "unknown_label:sadness")]
    assert reading.rows == 3


@pytest.mark.parametrize("reader", [Ravdess, EmoDb])
def test_wrong_root(reader, tmp_path):
    with pytest.raises(InputError, match=r"data\.root is not given.* SERMM_(RAVDESS|EMODB)"):
        reader(None, {}).read()
    with pytest.raises(InputError, match=r"data\.root=.*nowhere is no folder"):
        reader(tmp_path / "nowhere", {}).read()
    with pytest.raises(InputError, match=r"no clip of corpus .* \(1 other"):
        reader(touch(tmp_path, "a.wav"), {}).read()


@pytest.mark.parametrize("reader", [Ravdess, EmoDb])
@pytest.mark.parametrize("root", ["x" * 300, 2024])
def test_a_root_that_cannot_be_a_name_or_is_a_number(reader, root):
    with pytest.raises(InputError, match=r"data\.root=(x{300}|2024) is no folder"):
        reader(root, {}).read()
