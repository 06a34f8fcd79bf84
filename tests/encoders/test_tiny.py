import pytest
import torch

from sermm.core.batch import Batch
from sermm.core.errors import InputError
from sermm.core.ragged import Ragged
from sermm.encoders.tiny import TinySpeechEncoder, TinyTextEncoder

TEXTS = ["I am so happy today!", "Go away, you make me sad.", "No.", "I am so sad today."]
# How many frames 1 s, 106 ms and nothing have.
WAVEFORM_FRAMES = 49 + 5 + 1
SPEECH_KINDS = {
    "wav2vec2": WAVEFORM_FRAMES,
    "hubert": WAVEFORM_FRAMES,
    "wavlm": WAVEFORM_FRAMES,
    "data2vec": WAVEFORM_FRAMES,
    "unispeech": WAVEFORM_FRAMES,
    "unispeech-sat": WAVEFORM_FRAMES,
    # Two frames at least.
    "sew": 49 + 5 + 2,
    "wav2vec2-conformer": WAVEFORM_FRAMES,
    # Two whole frames of 10 ms each.
    "wav2vec2-bert": 49 + 4 + 1,
}
TEXT_KINDS = ["bert", "roberta", "deberta-v2"]


def speech():
    generator = torch.Generator().manual_seed(1)
    clips = [torch.randn(n, generator=generator) for n in (16000, 1700, 0)]
    return Batch(("a", "b", "c"), waveform=Ragged.pack(clips))


def text(rows):
    tokens = Ragged.pack([torch.tensor(row) for row in rows])
    return Batch(tuple(map(str, range(len(rows)))), tokens=tokens)


@pytest.mark.parametrize("norm", ["group", "layer"])
@pytest.mark.parametrize("kind", SPEECH_KINDS)
def test_speech_of_every_kind_can_be_trained(kind, norm):
    encoder = TinySpeechEncoder(kind, norm=norm, width=16)
    found = encoder(speech())
    assert found.values.shape == (SPEECH_KINDS[kind], 1, 16)
    found.values.square().sum().backward()
    frozen = {n for n, p in encoder.named_parameters() if not p.requires_grad}
    assert {name for name in frozen if "pos_conv_embed" not in name} == {"hf.masked_spec_embed"}
    assert len(frozen) == (4 if kind == "wav2vec2-conformer" else 1)
    assert all(p.grad is not None for p in encoder.parameters() if p.requires_grad)
    assert not encoder.reloadable


@pytest.mark.parametrize("kind", TEXT_KINDS)
def test_text_of_every_kind_can_be_trained(kind):
    encoder = TinyTextEncoder(kind, layers="transformer", depth=3)
    encoder.fit(TEXTS)
    rows = encoder.tokenize(TEXTS)
    found = encoder(text(rows))
    assert found.values.shape == (sum(map(len, rows)), 3, 32)
    found.values.square().sum().backward()
    assert all(p.grad is not None for p in encoder.parameters())


def test_weights_come_from_the_seed():
    def made(seed):
        torch.manual_seed(seed)
        return [p for e in (TinySpeechEncoder(), TinyTextEncoder()) for p in e.parameters()]

    assert all(torch.equal(a, b) for a, b in zip(made(1), made(1), strict=True))
    assert not all(torch.equal(a, b) for a, b in zip(made(1), made(2), strict=True))


def test_random_weights_cannot_be_had_again():
    assert not TinySpeechEncoder(trainable="none").reloadable


def test_the_tokenizer_knows_the_training_words_and_no_others():
    encoder = TinyTextEncoder()
    encoder.fit(TEXTS)
    known, other_case, empty, unknown = encoder.tokenize(["so sad", "So SAD", "", "ж"])
    assert known == other_case
    assert len(known) < 2 + len("so sad")
    assert empty == [2, 3]
    assert 1 in unknown
    assert max(map(max, encoder.tokenize(TEXTS))) < 512


def test_the_vocabulary_is_never_larger_than_the_embedding():
    encoder = TinyTextEncoder(vocab_size=40)
    encoder.fit(["".join(map(chr, range(0x4E00, 0x4E00 + 200))), "plain words " * 20])
    assert len(encoder._tokenizer) <= 40
    assert max(encoder.tokenize(["plain 一 words"])[0]) < 40


def test_the_same_transcripts_give_the_same_tokenizer():
    # Hash orders differ between fits as between processes: WordPiece would fail here.
    words = ["a few words of training words of few few letters and some more of zebra"]
    trained = set()
    for _ in range(10):
        encoder = TinyTextEncoder(width=2)
        encoder.fit(words)
        trained.add(encoder._tokenizer.backend_tokenizer.to_str())
    assert len(trained) == 1


@pytest.mark.parametrize("transcripts", [[], ["", ""]])
def test_a_corpus_without_words_gives_special_tokens(transcripts):
    encoder = TinyTextEncoder()
    encoder.fit(transcripts)
    assert encoder.tokenize([""]) == [[2, 3]]
    assert encoder(text(encoder.tokenize(["", "x"]))).values.isfinite().all()


@torch.no_grad()
@pytest.mark.parametrize("kind", TEXT_KINDS)
def test_text_assets_and_weights_build_it_again(kind, tmp_path):
    encoder = TinyTextEncoder(kind, width=16).eval()
    encoder.fit(TEXTS)
    encoder.save_assets(tmp_path)
    again = TinyTextEncoder(kind, assets=tmp_path).eval()
    again.load_state_dict(encoder.state_dict())
    rows = encoder.tokenize(TEXTS)
    assert again.width == 16
    assert again.tokenize(TEXTS) == rows
    assert torch.equal(again(text(rows)).values, encoder(text(rows)).values)


@torch.no_grad()
def test_speech_assets_and_weights_build_it_again(tmp_path):
    encoder = TinySpeechEncoder(width=16, norm="layer").eval()
    encoder.save_assets(tmp_path)
    again = TinySpeechEncoder(assets=tmp_path).eval()
    again.load_state_dict(encoder.state_dict())
    assert torch.equal(again(speech()).values, encoder(speech()).values)


def test_what_is_wrong_is_said(as_in_use, tmp_path):
    with pytest.raises(InputError, match=r"encoder.speech.kind=mfcc: expected one of wav2vec2"):
        TinySpeechEncoder("mfcc")
    with pytest.raises(InputError, match=r"encoder.text.kind=gpt: expected one of bert"):
        TinyTextEncoder("gpt")
    with pytest.raises(InputError, match=r"call fit\(\)"):
        TinyTextEncoder().tokenize(["a"])
    TinyTextEncoder().save_assets(tmp_path)
    with pytest.raises(InputError, match=r"no tokenizer.json"):
        TinyTextEncoder(assets=tmp_path)
