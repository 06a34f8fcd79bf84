import pytest

from sermm.core.records import Span
from sermm.corpora.iemocap.alignment import read_alignment
from sermm.corpora.iemocap.layout import phseg_text, syseg_text, wdseg_text

WORDS = """\t SFrm  EFrm    SegAScr Word
\t    0    37   -1132211 <s>
\t   38    55    -988123 THE(2)
\t   56    60    -100000 <sil>
\t   61    99   -1000000 CAT'S
\t  100   120    -200000 ++LAUGHTER++
\t  121   130    -200000 +BREATHING+
\t  131   140    -200000 </s>
 Total score:   -3820334
"""
PHONES = """\t SFrm  EFrm    SegAScr Phone
\t    0    37   -1132211 SIL
\t   38    45    -488123 DH SIL AH b
\t   46    55    -500000 AH DH K e
\t   56    60    -100000 +LIPSMACK+
 Total score:   -2220334
"""
SYLLABLES = """ SFrm  EFrm    SegAScr Syllable
   38    55    -988123 DH_AH
   56    60 SIL
   61    99 K AE T S
"""


def spans(tmp_path, level, text):
    path = tmp_path / "alignment"
    path.write_text(text)
    return [(s.symbol, s.start_s, s.end_s) for s in read_alignment(path, level)]


def test_words_have_no_fillers_and_no_variants(tmp_path):
    assert spans(tmp_path, "word", WORDS) == [("THE", 0.38, 0.56), ("CAT'S", 0.61, 1.0)]


def test_phones_lose_their_context(tmp_path):
    assert spans(tmp_path, "phone", PHONES) == [("DH", 0.38, 0.46), ("AH", 0.46, 0.56)]


def test_syllables_with_and_without_a_score(tmp_path):
    assert spans(tmp_path, "syllable", SYLLABLES) == [
        ("DH_AH", 0.38, 0.56),
        ("K AE T S", 0.61, 1.0),
    ]


@pytest.mark.parametrize("level", ["word", "phone", "syllable"])
@pytest.mark.parametrize("text", ["", " SFrm  EFrm    SegAScr Syllable\n", " 12\n", " 9 3 -1 K\n"])
def test_an_empty_or_broken_file_has_no_units(tmp_path, level, text):
    assert spans(tmp_path, level, text) == []


def test_a_missing_file_has_no_units(tmp_path):
    assert read_alignment(tmp_path / "none", "word") == ()


def span(symbol, start_s, end_s, level):
    return Span(symbol, start_s, end_s, level, "corpus")


def test_written_words_fill_the_gaps_and_are_read_back(tmp_path):
    words = (span("HELLO", 0.10, 0.52, "word"), span("THERE", 0.60, 1.0, "word"))
    text = wdseg_text(words, n_frames=120)
    columns = [line.split() for line in text.splitlines()]
    assert [(*row[:2], row[-1]) for row in columns[1:-1]] == [
        ("0", "9", "<s>"),
        ("10", "51", "HELLO"),
        ("52", "59", "<sil>"),
        ("60", "99", "THERE"),
        ("100", "119", "</s>"),
    ]
    assert columns[-1][:2] == ["Total", "score:"]
    (tmp_path / "a.wdseg").write_text(text)
    assert read_alignment(tmp_path / "a.wdseg", "word") == words


def test_written_phones_and_syllables_are_read_back(tmp_path):
    phones = (span("HH", 0.10, 0.2, "phone"), span("AH", 0.2, 0.29, "phone"))
    text = phseg_text(phones, n_frames=40)
    assert "HH SIL AH" in text
    assert text.count(" SIL\n") == 2
    (tmp_path / "a.phseg").write_text(text)
    assert read_alignment(tmp_path / "a.phseg", "phone") == phones
    syllables = (span("HH AH", 0.10, 0.29, "syllable"),)
    (tmp_path / "a.syseg").write_text(syseg_text(syllables))
    assert read_alignment(tmp_path / "a.syseg", "syllable") == syllables


def test_writing_nothing():
    assert syseg_text(()) == ""
    assert [line.split()[-1] for line in wdseg_text((), 30).splitlines()[1:2]] == ["<s>"]


def test_a_unit_shorter_than_a_frame_is_not_written():
    assert "K" not in syseg_text((span("K", 0.101, 0.104, "syllable"),))
