from itertools import product

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from sermm.core.ragged import Ragged
from sermm.recognisers.ctc import CTCModel
from sermm.recognisers.ctc_alignment import CtcAligner, token_spans

VOCABULARY = {"<pad>": 0, "|": 1, "A": 2, "B": 3, "'": 4, "S": 5}
LETTERS = {token: index for token, index in VOCABULARY.items() if token != "|"}


class Fake(CTCModel):
    """Gives the log-probabilities that it was told, 20 ms a frame."""

    vocabulary = VOCABULARY
    blank = 0
    delimiter = "|"
    frame_s = 0.02

    def __init__(self, *paths):
        self.paths = paths

    def log_probs(self, waveform):
        return Ragged.pack([sure_of(path) for path in self.paths])


def sure_of(path):
    """Frames that all but say: this symbol; `_` is the blank."""
    probabilities = torch.full((len(path), len(VOCABULARY)), 0.02)
    for frame, symbol in enumerate(path):
        probabilities[frame, VOCABULARY.get(symbol, 0)] = 0.9
    return probabilities.log()


def aligned(path, text):
    audio = Ragged.pack([torch.zeros(320 * len(path))])
    return CtcAligner(Fake(path)).align(["u"], audio, [text])[0]


def words(path, text):
    return [
        (s.symbol, round(s.start_s / 0.02), round(s.end_s / 0.02), s.level, s.source)
        for s in aligned(path, text).spans["word"]
    ]


def test_words_run_from_their_first_to_their_last_character():
    # frames: 0 1 2 3 4 5 6 7 8 9
    assert words("__AAB_|B__", "ab b") == [
        ("ab", 2, 5, "word", "ctc"),
        ("b", 7, 8, "word", "ctc"),
    ]


def test_equal_neighbours_need_a_blank_between():
    assert words("A_A|A", "aa a") == [("aa", 0, 3, "word", "ctc"), ("a", 4, 5, "word", "ctc")]
    short = aligned("AA|A", "aa a")
    assert short.spans == {}
    assert [p.kind for p in short.problems] == ["cannot_be_aligned"]
    assert "4 characters need 5 frames, the audio has 4" in short.problems[0].what


def test_unknown_characters_are_left_out_and_listed():
    found = aligned("A_B_|_A__", "axb! zz ax [LAUGHTER]")
    assert [(s.symbol, round(s.start_s / 0.02)) for s in found.spans["word"]] == [
        ("axb", 0),
        ("ax", 6),
    ]
    assert [(p.where, p.kind) for p in found.problems] == [
        ("u", "unknown_characters"),
        ("u", "unknown_words"),
    ]
    assert found.problems[0].what.endswith("left out: x (2) z (2)")
    assert found.problems[1].what.endswith("no unit: zz")


@pytest.mark.parametrize("text", ["", "[LAUGHTER]", "?!"])
def test_nothing_said_is_no_problem(text):
    assert (aligned("A_", text).spans, aligned("A_", text).problems) == ({}, ())


def test_case_apostrophes_and_sharp_s_are_as_the_vocabulary_has_them():
    target = CtcAligner(Fake("")).target("aß ‘B’s")
    assert target.labels == [2, 5, 5, 1, 3, 4, 5]
    assert target.words == ["aß", "B's"]
    assert target.frames == 8


def test_a_vocabulary_without_delimiter():
    class NoDelimiter(Fake):
        vocabulary = LETTERS

    audio = Ragged.pack([torch.zeros(1600)])
    (found,) = CtcAligner(NoDelimiter("AA_BA")).align(["u"], audio, ["a ba"])
    frames = [(round(s.start_s / 0.02), round(s.end_s / 0.02)) for s in found.spans["word"]]
    assert frames == [(0, 2), (3, 5)]


def test_all_of_a_batch_and_each_with_its_own_text():
    audio = Ragged.pack([torch.zeros(640), torch.zeros(960)])
    found = CtcAligner(Fake("AB", "B_|A")).align(["u", "v"], audio, ["ab", "b a"])
    assert [[s.symbol for s in one.spans["word"]] for one in found] == [["ab"], ["b", "a"]]


def likeliest_by_trying_all(log_probs, labels):
    """Scores of all paths that collapse to the labels; the best one's spans and its margin."""
    t, v = log_probs.shape
    best = []
    for path in product(range(v), repeat=t):
        spans, previous = [], 0
        for frame, label in enumerate(path):
            if label and label == previous:
                spans[-1][2] = frame + 1
            elif label:
                spans.append([label, frame, frame + 1])
            previous = label
        if [label for label, _, _ in spans] == labels:
            score = sum(float(log_probs[frame, label]) for frame, label in enumerate(path))
            best.append((score, [(start, end) for _, start, end in spans]))
    best.sort(reverse=True)
    return best


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10**6), st.lists(st.integers(1, 2), min_size=1, max_size=3))
def test_the_path_is_the_likeliest_of_all(seed, labels):
    scores = torch.randn(6, 3, generator=torch.Generator().manual_seed(seed)).log_softmax(-1)
    best = likeliest_by_trying_all(scores, labels)
    assert token_spans(scores, labels, 0) == best[0][1]


def test_a_real_model_aligns_alone_as_in_a_batch(ctc_folder):
    generator = torch.Generator().manual_seed(0)
    clips = [0.1 * torch.randn(n, generator=generator) for n in (16000, 30000, 200)]
    texts = ["go away", "kids are talking by the door", "no"]
    aligner = CtcAligner(CTCModel(str(ctc_folder)))
    together = aligner.align(["a", "b", "c"], Ragged.pack(clips), texts)
    alone = [
        aligner.align([i], Ragged.pack([clip]), [text])[0]
        for i, clip, text in zip("abc", clips, texts, strict=True)
    ]
    assert together == alone
    assert [s.symbol for s in together[1].spans["word"]] == texts[1].split()
    for one, clip in zip(together[:2], clips, strict=False):
        ends = [s.end_s for s in one.spans["word"]]
        assert ends == sorted(ends)
        assert ends[-1] <= len(clip) / 16000
    assert [p.kind for p in together[2].problems] == ["cannot_be_aligned"], "under one frame"
    assert aligner.identity["model"]["kind"] == "ctc"


def test_letters_in_parts_are_found_in_either_kind_of_vocabulary():
    class Parts(Fake):
        vocabulary = {**VOCABULARY, "\u0308": 6, "É": 7}  # noqa: RUF012

    aligner = CtcAligner(Parts(""))
    for text in ("ä é", "a\u0308 e\u0301"):
        target = aligner.target(text)
        assert (target.labels, target.words) == ([2, 6, 1, 7], ["ä", "é"])
        assert not target.unknown


def test_joiners_that_a_vocabulary_lacks_are_not_missed():
    target = CtcAligner(Fake("")).target("a\u200cb")
    assert (target.labels, dict(target.unknown)) == ([2, 3], {})
