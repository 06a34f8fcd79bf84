"""Tokens of every family of text encoders are found in the transcript they were made of."""

import pytest

from sermm.encoders.base import Piece
from sermm.encoders.hf.text import HFTextEncoder
from sermm.encoders.pieces import found_again, of_offsets
from sermm.encoders.tiny import TinyTextEncoder
from sermm.encoders.words import Words

TEXT = "I am so happy!  Go away."


def test_a_piece_for_each_token_that_says_where_it_stands(text_folder):
    encoder = HFTextEncoder(str(text_folder), max_tokens=30)
    pieces = encoder.pieces(TEXT)
    assert len(pieces) == len(encoder.tokenize([TEXT])[0])
    tokenizer = encoder._tokenizer
    special = set(tokenizer.all_special_ids) - {tokenizer.unk_token_id}
    ids = encoder.tokenize([TEXT])[0]
    assert all(p.span is None for p, i in zip(pieces, ids, strict=True) if i in special)
    placed = [piece for piece in pieces if piece.span]
    assert [TEXT[slice(*piece.span)] for piece in placed] == [piece.text for piece in placed]
    # All that is not blank stands for itself, in order.
    assert "".join(piece.text for piece in placed) == TEXT.replace(" ", "")


def test_cut_where_the_tokens_are(text_folder):
    encoder = HFTextEncoder(str(text_folder), max_tokens=5)
    assert len(encoder.pieces(TEXT)) == len(encoder.tokenize([TEXT])[0]) == 5


@pytest.mark.parametrize("text", ["", " "])
def test_an_empty_transcript_has_special_tokens_only(text_folder, text):
    encoder = HFTextEncoder(str(text_folder), max_tokens=30)
    pieces = encoder.pieces(text)
    assert len(pieces) == len(encoder.tokenize([text])[0])
    assert not [piece for piece in pieces if piece.span]


def test_the_demo_s_tokens():
    encoder = TinyTextEncoder(vocab_size=60)
    encoder.fit(["I am so happy!", "Go away."])
    pieces = encoder.pieces("So, I AM!")
    assert pieces[0] == Piece("[CLS]")
    assert Piece("!", (8, 9)) in pieces
    assert Piece("AM", (6, 8)) in pieces


def test_blanks_before_a_word_do_not_belong_to_it():
    found = of_offsets(["▁so", "▁", "!"], [(0, 3), (3, 4), (4, 5)], " so !")
    assert found == [Piece("so", (1, 3)), Piece("▁"), Piece("!", (4, 5))]


def test_tokens_without_offsets_are_looked_for_from_left_to_right():
    names = ["[CLS]", "no", "▁no", "##ne", "Ġbe", "[UNK]", "[SEP]"]
    assert found_again(names, "No none be", {"[CLS]", "[SEP]", "[UNK]"}) == [
        Piece("[CLS]"),
        Piece("No", (0, 2)),
        Piece("no", (3, 5)),
        Piece("ne", (5, 7)),
        Piece("be", (8, 10)),
        Piece("[UNK]"),
        Piece("[SEP]"),
    ]


def test_an_encoder_that_says_nothing_of_its_tokens_gives_their_numbers():
    words = Words()
    words.fit(["go away"])
    assert words.pieces("Go now") == [Piece("2"), Piece("0")]
