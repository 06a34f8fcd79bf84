from sermm.core.records import Attributes, Vote
from sermm.corpora.iemocap.evaluation import read_evaluation
from sermm.corpora.iemocap.layout import Turn, evaluation_text
from sermm.corpora.iemocap.transcription import read_transcription

# Invented values in the form of the release.
WHOLE = """% [START_TIME - END_TIME] TURN_NAME EMOTION [V, A, D]

[10.0000 - 12.5000]\tSes01F_impro01_F000\tneu\t[3.0000, 2.6667, 3.3333]
C-E2:\tNeutral state;\t()
C-E3:\tNeutral state; Frustration;\t(a little tired (I think))
C-F1:\t;\t()
A-E3:\tval 3; act 2; dom  2;\t()
A-F1:\tval 3; act 2.5; dom ;\t(unsure)

[4.2000 - 6.0000]\tSes01F_impro01_M000\txxx\t[5.5000, 2.0000, 0.5000]
C-E2:\tAnger;\t()
"""


def written(tmp_path, text, name="Ses01F_impro01"):
    path = tmp_path / f"{name}.txt"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def kinds(problems):
    return [problem.kind for problem in problems]


def test_reads_heads_votes_and_attributes_out_of_scale_too(tmp_path):
    turns, problems = read_evaluation(written(tmp_path, WHOLE))
    assert not problems
    assert turns == [
        Turn(
            "Ses01F_impro01_F000",
            10.0,
            12.5,
            "neu",
            Attributes(3.0, 2.6667, 3.3333),
            (
                Vote("E2", ("Neutral state",)),
                Vote("E3", ("Neutral state", "Frustration"), "a little tired (I think)"),
                Vote("F1", ()),
            ),
            (("E3", Attributes(3.0, 2.0, 2.0)), ("F1", Attributes(3.0, 2.5, None))),
        ),
        Turn(
            "Ses01F_impro01_M000",
            4.2,
            6.0,
            "xxx",
            Attributes(5.5, 2.0, 0.5),
            (Vote("E2", ("Anger",)),),
        ),
    ]


def test_windows_line_ends_are_the_same(tmp_path):
    plain = read_evaluation(written(tmp_path, WHOLE))
    assert read_evaluation(written(tmp_path, WHOLE.replace("\n", "\r\n"))) == plain


def test_every_cut_of_a_turn_line_is_told_and_costs_only_that_turn(tmp_path):
    head = "[10.0000 - 12.5000]\tSes01F_impro01_F000\tneu\t[3.0000, 2.6667, 3.3333]"
    for length in range(1, len(head)):
        path = written(tmp_path, WHOLE.replace(head, head[:length]))
        turns, problems = read_evaluation(path)
        assert [turn.id for turn in turns] == ["Ses01F_impro01_M000"], head[:length]
        assert turns[0].votes == (Vote("E2", ("Anger",)),)
        assert kinds(problems) == ["malformed_line"]
        assert problems[0].where == f"{path}:3"


def test_a_turn_of_another_dialogue_is_malformed(tmp_path):
    turns, problems = read_evaluation(written(tmp_path, WHOLE, "Ses01F_impro02"))
    assert turns == []
    assert kinds(problems) == ["malformed_line", "malformed_line"]


def test_an_unknown_label_is_kept_and_told(tmp_path):
    turns, problems = read_evaluation(written(tmp_path, WHOLE.replace("\txxx\t", "\tzzz\t")))
    assert turns[1].label == "zzz"
    assert kinds(problems) == ["unknown_label"]
    assert "'zzz'" in problems[0].what


def test_the_second_turn_of_an_id_is_told_and_its_votes_go_nowhere(tmp_path):
    text = WHOLE.replace("F000\tneu", "M000\tneu")
    turns, problems = read_evaluation(written(tmp_path, text))
    assert [(turn.id, turn.label) for turn in turns] == [("Ses01F_impro01_M000", "neu")]
    assert len(turns[0].votes) == 3
    assert kinds(problems) == ["duplicate_id"]


def test_other_lines_are_counted(tmp_path):
    text = WHOLE.replace("C-E2:\tAnger;\t()", "C-E2:\tAng\nA-E3:\tval 3; act\nwhat is this\t()")
    turns, problems = read_evaluation(written(tmp_path, text))
    assert turns[1].votes == ()
    assert kinds(problems) == ["ignored_lines"]
    assert problems[0].what.startswith("3 lines")
    assert "first line 11" in problems[0].what


def test_what_is_written_is_read_back(tmp_path):
    turns, _ = read_evaluation(written(tmp_path, WHOLE))
    assert read_evaluation(written(tmp_path, evaluation_text(turns))) == (turns, [])


def test_transcripts_are_kept_raw_and_other_speech_is_skipped(tmp_path):
    text = (
        "Ses01F_impro01_M000 [004.2000-006.0000]: [LAUGHTER] Oh,  well.\n"
        "M: You don't say.\n"
        "Ses01F_impro01_FXX0 [006.1000-006.9000]: Hm.\n"
        "Ses01F_impro01_MXX [-]: Hm.\n"
        "Ses01F_impro01_F000 [010.0000-012.5000]: a tab\there\n"
        "Ses01F_impro01_F001 [012.6000-013.0000]: \n"
    )
    transcripts, problems = read_transcription(written(tmp_path, text))
    assert not problems
    assert transcripts == {
        "Ses01F_impro01_M000": "[LAUGHTER] Oh,  well.",
        "Ses01F_impro01_F000": "a tab\there",
        "Ses01F_impro01_F001": "",
    }


def test_a_cut_or_repeated_transcript_line_is_told(tmp_path):
    text = (
        b"Ses01F_impro01_F000 [010.0000-012.5000]: caf\xe9\n"
        b"Ses01F_impro01_F000 [010.0000-012.5000]: again\n"
        b"Ses01F_impro01_M000 [004.20\n"
    )
    path = written(tmp_path, text)
    transcripts, problems = read_transcription(path)
    assert transcripts == {"Ses01F_impro01_F000": "caf\ufffd"}
    assert kinds(problems) == ["duplicate_id", "ignored_lines"]
    assert problems[0].where == f"{path}:2"
    assert "first line 3" in problems[1].what
