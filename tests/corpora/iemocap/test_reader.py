import dataclasses
import json
import shutil

import pytest

from sermm.core.errors import InputError
from sermm.core.records import Attributes
from sermm.corpora.iemocap.counts import IEMOCAP_COUNTS, Counts
from sermm.corpora.iemocap.reader import Iemocap

IMPRO = """% [START_TIME - END_TIME] TURN_NAME EMOTION [V, A, D]

[10.0000 - 12.5000]\tSes01M_impro01_F000\tneu\t[3.0000, 2.6667, 3.3333]
C-E2:\tNeutral state;\t()
A-E3:\tval 3; act 2; dom  ;\t()

[13.0000 - 14.0000]\tSes01M_impro01_F001\texc\t[4.0000, 4.0000, 3.0000]

[4.2000 - 6.0000]\tSes01M_impro01_M000\tang\t[1.5000, 4.0000, 4.0000]
"""
SCRIPT = """% [START_TIME - END_TIME] TURN_NAME EMOTION [V, A, D]

[1.0000 - 2.0000]\tSes02F_script01_1_F000\tsad\t[2.0000, 2.0000, 2.0000]
[3.0000 - 4.0000]\tSes02F_script01_1_M000\tfru\t[2.0000, 3.0000, 4.0000]
"""
IMPRO_TEXT = """Ses01M_impro01_M000 [004.2000-006.0000]: [LAUGHTER] What?
F: Nothing.
Ses01M_impro01_FXX0 [007.0000-007.5000]: Hm.
Ses01M_impro01_F000 [010.0000-012.5000]: I see.
Ses01M_impro01_F001 [013.0000-014.0000]: Great!
"""
SCRIPT_TEXT = """Ses02F_script01_1_F000 [001.0000-002.0000]: Go.
Ses02F_script01_1_M000 [003.0000-004.0000]: No.
"""
EXPECTED = Counts(
    turns_by_session={"1": 3, "2": 2},
    dialogues_by_session={"1": 1, "2": 1},
    turns_by_label={"neu": 1, "exc": 1, "ang": 1, "sad": 1, "fru": 1},
    four_by_class={"ang": 1, "hap": 1, "sad": 1, "neu": 1},
    four_by_session={"1": 3, "2": 1},
    four_by_act={"improvised": 3, "scripted": 1},
    four_by_talker={"Ses01F": 2, "Ses01M": 1, "Ses02F": 1},
    four_without_exc_by_session={"1": 2, "2": 1},
    six_by_session={"1": 3, "2": 2},
    six_scripted_by_session={"2": 2},
)


def dialogue(root, name, evaluation, transcription):
    session = root / f"Session{name[4]}"
    for folder, text in (("EmoEvaluation", evaluation), ("transcriptions", transcription)):
        (session / "dialog" / folder).mkdir(parents=True)
        (session / "dialog" / folder / f"{name}.txt").write_text(text)
        (session / "dialog" / folder / f"._{name}.txt").write_bytes(b"\0\5\x16\7Mac OS X")
    wavs = session / "sentences" / "wav" / name
    wavs.mkdir(parents=True)
    (wavs.parent / f"._{name}").write_bytes(b"\0\5\x16\7")
    for line in evaluation.splitlines():
        if line.startswith("["):
            (wavs / f"{line.split()[3]}.wav").touch()
            (wavs / f"._{line.split()[3]}.wav").touch()


@pytest.fixture
def root(tmp_path):
    root = tmp_path / "IEMOCAP_full_release"
    dialogue(root, "Ses01M_impro01", IMPRO, IMPRO_TEXT)
    dialogue(root, "Ses02F_script01_1", SCRIPT, SCRIPT_TEXT)
    for kind in ("Attribute", "Categorical", "Self-evaluation"):
        (root / "Session1/dialog/EmoEvaluation" / kind).mkdir()
    return root


def reader(root, **options):
    return Iemocap(root, expected=EXPECTED, **options)


def change(path, old, new):
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


def kinds(reading):
    out = [problem for problem in reading.problems if not problem.kept]
    assert reading.rows == len(reading.utterances) + len(out)
    return [problem.kind for problem in reading.problems if problem.kind != "incomplete"]


def test_the_whole_tree(root):
    reading = reader(root).read()
    assert reading.problems == ()
    assert [u.id for u in reading.utterances] == [
        "Ses01M_impro01_F000",
        "Ses01M_impro01_F001",
        "Ses01M_impro01_M000",
        "Ses02F_script01_1_F000",
        "Ses02F_script01_1_M000",
    ]
    first, second, third, fourth, _ = reading.utterances
    assert first.corpus == "iemocap"
    assert (
        first.path
        == (root / "Session1/sentences/wav/Ses01M_impro01/Ses01M_impro01_F000.wav").absolute()
    )
    assert (first.start_s, first.end_s) == (None, None)
    assert (first.speaker, first.gender) == ("Ses01F", "f")
    assert (first.group, first.act, first.dialogue) == ("1", "improvised", "Ses01M_impro01")
    assert (first.label, first.transcript) == ("neu", "I see.")
    assert first.attributes == Attributes(3.0, 2.6667, 3.3333)
    assert first.rater_attributes == (("E3", Attributes(3.0, 2.0, None)),)
    assert first.votes[0].labels == ("Neutral state",)
    assert [u.turn for u in (first, second, third)] == [1, 2, 0]
    assert (third.speaker, third.gender) == ("Ses01M", "m")
    assert third.transcript == "[LAUGHTER] What?"
    assert (fourth.act, fourth.dialogue, fourth.group) == ("scripted", "Ses02F_script01_1", "2")


def test_the_folder_above_serves_as_well(root):
    assert reader(root.parent).read() == reader(root).read()


def test_spans_come_from_the_forced_alignment(root):
    corpus = reader(root)
    first = corpus.read().utterances[0]
    folder = root / "Session1/sentences/ForcedAlignment/Ses01M_impro01"
    folder.mkdir(parents=True)
    (folder / f"{first.id}.wdseg").write_text("\t 10 19 -5 I\n\t 20 29 -5 SEE\n")
    assert [(s.symbol, s.start_s, s.end_s) for s in corpus.spans(first, "word")] == [
        ("I", 0.1, 0.2),
        ("SEE", 0.2, 0.3),
    ]
    assert corpus.spans(first, "syllable") == ()


def test_no_root_and_wrong_roots(tmp_path):
    with pytest.raises(InputError, match=r"no root is given; set data.root=.*SERMM_IEMOCAP"):
        Iemocap(None).read()
    with pytest.raises(InputError, match="nowhere does not exist"):
        Iemocap(tmp_path / "nowhere").read()
    with pytest.raises(InputError, match="is empty"):
        Iemocap(tmp_path).read()
    (tmp_path / "holiday.jpg").touch()
    with pytest.raises(InputError, match=r"holds holiday.jpg, expected Session1..5/dialog/Emo"):
        Iemocap(tmp_path).read()
    with pytest.raises(InputError, match="is a file"):
        Iemocap(tmp_path / "holiday.jpg").read()


def test_a_missing_session_is_an_error_with_both_tables_and_the_way_out(root):
    shutil.rmtree(root / "Session2")
    with pytest.raises(InputError) as error:
        reader(root).read()
    text = str(error.value)
    assert "! turns_by_session             expected 1 3, 2 2 (sum 5)" in text
    assert "found    1 3 (sum 3)" in text
    lines = text.splitlines()
    # The cause stands above the tables and below them.
    assert lines[2] == lines[-2] == "  missing_session 1: Session2"
    assert "data.partial=true" in lines[-1]


def test_a_missing_session_is_listed_in_a_partial_copy(root):
    shutil.rmtree(root / "Session2")
    reading = reader(root, partial=True).read()
    assert len(reading.utterances) == 3
    assert kinds(reading) == ["missing_session"]
    told = {p.where: p.what for p in reading.problems if p.kind == "incomplete"}
    assert told["turns_by_session"] == "expected 1 3, 2 2 (sum 5), found 1 3 (sum 3)"


def test_without_expectations_nothing_is_missed(root):
    shutil.rmtree(root / "Session2")
    assert Iemocap(root, expected=None).read().problems == ()


def test_a_label_line_cut_in_half_names_the_line_and_the_utterance(root):
    path = root / "Session1/dialog/EmoEvaluation/Ses01M_impro01.txt"
    change(path, "M000\tang\t[1.5000, 4.0000, 4.0000]", "M000\tan")
    reading = reader(root, partial=True).read()
    assert kinds(reading) == ["malformed_line", "missing_evaluation"]
    assert reading.problems[0].where == f"{path.absolute()}:9"
    assert reading.problems[1].where == "Ses01M_impro01_M000"
    with pytest.raises(InputError, match="missing_evaluation 1: Ses01M_impro01_M000"):
        reader(root).read()


def test_a_missing_wav_leaves_the_utterance_out_but_not_its_place(root):
    (root / "Session1/sentences/wav/Ses01M_impro01/Ses01M_impro01_M000.wav").unlink()
    reading = reader(root, partial=True).read()
    assert kinds(reading) == ["missing_wav"]
    assert [(u.id, u.turn) for u in reading.utterances[:2]] == [
        ("Ses01M_impro01_F000", 1),
        ("Ses01M_impro01_F001", 2),
    ]
    assert len(reading.utterances) == 4
    with pytest.raises(InputError, match="missing_wav 1: Ses01M_impro01_M000"):
        reader(root).read()


def test_a_missing_transcript_is_told_and_the_utterance_kept(root):
    path = root / "Session1/dialog/transcriptions/Ses01M_impro01.txt"
    change(path, "Ses01M_impro01_F000 [010.0000-012.5000]: I see.\n", "")
    reading = reader(root).read()
    assert kinds(reading) == ["missing_text"]
    assert reading.utterances[0].transcript is None
    path.unlink()
    assert kinds(reader(root).read()) == ["missing_text"] * 3


def test_a_missing_label_file(root):
    (root / "Session1/dialog/EmoEvaluation/Ses01M_impro01.txt").unlink()
    reading = reader(root, partial=True).read()
    assert kinds(reading) == ["missing_dialogue"] + ["missing_evaluation"] * 3
    assert len(reading.utterances) == 2


def test_an_unknown_label_fails_the_check_and_a_partial_reading_keeps_it(root):
    change(root / "Session2/dialog/EmoEvaluation/Ses02F_script01_1.txt", "\tsad\t", "\tsda\t")
    reading = reader(root, partial=True).read()
    assert kinds(reading) == ["unknown_label"]
    assert reading.utterances[3].label == "sda"
    with pytest.raises(InputError, match="unknown_label 1"):
        reader(root).read()


def test_a_duplicate_id(root):
    change(root / "Session2/dialog/EmoEvaluation/Ses02F_script01_1.txt", "_1_M000", "_1_F000")
    reading = reader(root, partial=True).read()
    assert kinds(reading) == ["duplicate_id", "missing_evaluation"]
    assert [u.id for u in reading.utterances[3:]] == ["Ses02F_script01_1_F000"]


def test_strange_names_are_no_dialogues(root):
    evaluations = root / "Session1/dialog/EmoEvaluation"
    (evaluations / "Ses02F_impro01.txt").write_text(IMPRO)
    (evaluations / "Ses01F_impro01.txt.bak").write_text(IMPRO)
    (root / "Session1/sentences/wav/Ses01M_impro01/notes.wav").touch()
    assert reader(root).read().problems == ()


def test_a_long_list_of_what_is_missing_is_cut(root):
    wavs = root / "Session1/sentences/wav/Ses01F_impro09"
    wavs.mkdir()
    for number in range(30):
        (wavs / f"Ses01F_impro09_F{number:03d}.wav").touch()
    shutil.rmtree(root / "Session2")
    with pytest.raises(InputError, match=r"Ses01F_impro09_F019 and 10 more\n"):
        reader(root).read()


def test_counts_survive_json(root):
    found = Counts.of(reader(root).read().utterances)
    again = Counts(**json.loads(json.dumps(dataclasses.asdict(found))))
    assert again.differing(EXPECTED) == ()
    fewer = dataclasses.replace(EXPECTED, four_by_act={"improvised": 3})
    assert again.differing(fewer) == ("four_by_act",)


def test_the_golden_counts_agree_with_one_another():
    golden = IEMOCAP_COUNTS
    assert sum(golden.turns_by_session.values()) == sum(golden.turns_by_label.values()) == 10039
    assert sum(golden.dialogues_by_session.values()) == 151
    for table in ("four_by_class", "four_by_session", "four_by_act", "four_by_talker"):
        assert sum(getattr(golden, table).values()) == 5531
    assert sum(golden.four_without_exc_by_session.values()) == 4490 == 5531 - 1041
    assert sum(golden.six_by_session.values()) == 7380 == 5531 + 1849
    assert sum(golden.six_scripted_by_session.values()) == 3466
    for session, number in golden.four_by_session.items():
        talkers = golden.four_by_talker
        assert talkers[f"Ses0{session}F"] + talkers[f"Ses0{session}M"] == number


def test_a_root_that_cannot_be_a_name():
    with pytest.raises(InputError, match=r"x{300} does not exist"):
        _ = Iemocap("x" * 300).root
