from sermm.cli.transcribe import render

SCORES = {
    "wer": 0.25, "utterances": 2, "words": 8, "substitutions": 1, "deletions": 1, "insertions": 0,
    "wordless": 0, "words_in_wordless": 0, "untranscribed": 0,
}  # fmt: skip


def test_languages_and_talkers_are_shown_but_not_hundreds_of_talkers():
    wer = {"all": SCORES, "act": {}, "class": {"ang": SCORES}, "gender": {}}
    summary = {
        "text_source": "asr:x", "utterances": 2, "recognised": 2, "stored": 0, "seconds": 9.0,
        "took_s": 3.0, "windowed": 0, "languages": {"de": 38, "nl": 1}, "normalisation": "none",
        "wer": wer | {"talker": {f"t{n}": SCORES for n in range(33)}}, "unwritable": None,
        "failures": {}, "problems": [],
    }  # fmt: skip
    printed = render("corpus", summary)
    assert "Languages detected in what was recognised now: de 38, nl 1" in printed
    assert "talker t29" in printed
    assert "talker t30" not in printed
    assert "3 more talkers in format=json." in printed
