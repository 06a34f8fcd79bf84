"""Names of studies, as they are typed and as they lie on a disk."""

import pytest

from sermm.configuration.verbs import RunConfig, as_typed
from sermm.core.errors import InputError
from sermm.core.names import is_study_name, study_folder

WORDS = ["data=demo", "model=majority", "encoder/speech=mfcc", "encoder/text=tiny"]


@pytest.mark.parametrize(
    "name",
    ["20241130", "3.10", "1e3", "true", "first", "007", "a b", "é", "2024-11-30", "a;b"],
)
def test_a_name_is_what_was_typed(name):
    config = RunConfig.of([*WORDS, *as_typed([f"study={name}"])])
    assert (config.study, config.study_dir.name) == (name, name)


def test_words_that_say_themselves_what_they_are_stay_as_they_are():
    words = ["study='3.10'", "study=first", "teacher=null", "fold=1", "study=${data.name}", "-m"]
    assert as_typed(words) == words
    assert as_typed(["study=a,b", "study=3.10,4"]) == ["study=a,b", "study='3.10','4'"]
    assert as_typed(["teacher=1234567890123456"]) == ["teacher='1234567890123456'"]
    assert as_typed(as_typed(["study=3.10"])) == ["study='3.10'"]


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("", "the name is empty"),
        (" ", "the name is empty"),
        ("../../x", "its name has no /"),
        ("/tmp/x", "its name has no /"),
        ("a/b", "its name has no /"),
        ("a:b", "its name has no :"),
        ("a=b", "its name has no ="),
        (".", "begins with a letter or a digit"),
        ("..", "begins with a letter or a digit"),
        (".hidden", "begins with a letter or a digit"),
        ("-m", "begins with a letter or a digit"),
        ("a\nb", "control characters"),
        ("a\0b", "control characters"),
        ("é" * 128, "256 bytes, 255 at most"),
    ],
)
def test_what_no_folder_in_runs_dir_can_be_called_is_refused(tmp_path, name, says):
    with pytest.raises(InputError, match="study=") as error:
        study_folder(tmp_path, name)
    assert says in str(error.value)
    assert not is_study_name(name)


def test_a_run_of_such_a_study_is_not_started_but_can_be_read():
    config = RunConfig.of([*WORDS, "study=../x"])
    with pytest.raises(InputError, match="its name has no /"):
        str(config.study_dir)
