import re

import pytest
import torch
from transformers import AutoConfig, AutoModel

from sermm.core.batch import Batch
from sermm.core.errors import InputError
from sermm.core.ragged import Ragged
from sermm.encoders.hf.text import HFTextEncoder

DECODERS = ("gpt2", "gpt_neo", "llama", "qwen2")
TEXTS = ["I am so happy!", "", "Go away. " * 12, "No, no.", "Yes!"]


def made(folder, **options):
    return HFTextEncoder(str(folder), **({"max_tokens": 32} | options))


def batch_of(*rows):
    ids = tuple(f"u{i}" for i in range(len(rows)))
    return Batch(ids, tokens=Ragged.pack([torch.tensor(row, dtype=torch.int64) for row in rows]))


def distance(found, expected):
    return float((found - expected).norm() / expected.norm())


def test_tokens_have_special_ones_are_cut_and_never_empty(text_folder):
    encoder = made(text_folder)
    rows = encoder.tokenize(TEXTS)
    assert len(rows[2]) == 32
    if encoder.hf.config.model_type in DECODERS:
        # Nothing but a start, if that: what stands for an empty text is no word of it.
        assert len(rows[1]) == 1
        assert encoder.pieces("")[0].span is None
    else:
        start, end = rows[1]
        assert all(row[0] == start and row[-1] == end for row in rows)
    assert encoder.tokenize(TEXTS[:1]) == rows[:1]
    assert encoder.tokenize([]) == []


def test_what_is_cut_is_told_by_the_encoder_and_by_its_tokenizer_alone(text_folder):
    texts = ["", "Go away. " * 3]
    exact = len(made(text_folder).tokenize(texts)[1])
    for most, cut in ((exact - 1, True), (exact, False), (32, False)):
        assert made(text_folder, max_tokens=most).cut(texts) == [False, cut]
        assert HFTextEncoder.cut_of(texts, id=str(text_folder), max_tokens=most) == [False, cut]
    assert made(text_folder).cut([]) == []


def test_tokens_of_a_known_vocabulary(bert_folder):
    # [CLS] i am so happy ! [SEP] in the order of vocab.txt
    assert made(bert_folder).tokenize(["I am SO happy!"]) == [[2, 5, 6, 7, 8, 15, 3]]


@torch.no_grad()
def test_a_transcript_alone_and_among_others_gets_the_same_features(text_folder):
    encoder = made(text_folder, layers="all").eval()
    rows = encoder.tokenize(TEXTS)
    together = encoder(batch_of(*rows)).split()
    backwards = encoder(batch_of(*rows[::-1])).split()[::-1]
    for row, found, other in zip(rows, together, backwards, strict=True):
        alone = encoder(batch_of(row)).values
        assert found.shape == (len(row), 4, 16)
        assert distance(found, alone) < 5e-6
        assert distance(other, alone) < 5e-6


@torch.no_grad()
def test_layers_are_the_last_or_all_or_those_of_the_transformer(bert_folder):
    batch = batch_of(*made(bert_folder).tokenize(TEXTS))
    found = {
        layers: made(bert_folder, layers=layers).eval()(batch).values
        for layers in ("last", "all", "transformer")
    }
    assert {k: v.shape[1] for k, v in found.items()} == {"last": 1, "all": 4, "transformer": 3}
    assert torch.equal(found["all"][:, 1:], found["transformer"])
    assert torch.equal(found["all"][:, 3:], found["last"])


def gradients(encoder):
    encoder.train()
    rows = encoder.tokenize(TEXTS)
    encoder(batch_of(*rows)).values.square().sum().backward()
    trained = {n for n, p in encoder.named_parameters() if p.requires_grad}
    assert {n for n, p in encoder.named_parameters() if p.grad is not None} == trained
    return {name.removeprefix("hf.") for name in trained}


def test_every_trainable_parameter_gets_a_gradient(text_folder):
    encoder = made(text_folder)
    assert gradients(encoder) == {name for name, _ in encoder.hf.named_parameters()}


def test_the_top_layers_alone_can_be_trained(text_folder):
    if AutoConfig.from_pretrained(text_folder).to_dict().get("num_hidden_groups") == 1:
        pytest.skip("a single layer that runs three times: tested by itself")
    trained = gradients(made(text_folder, trainable=1))
    top = re.compile(r"(.*\blayers?|h|encoder\.albert_layer_groups)\.2\.|(ln_f|norm|final_norm)\.")
    assert trained
    assert all(top.match(name) for name in trained)


def test_a_frozen_encoder_stays_as_it_is_in_training(bert_folder):
    encoder = made(bert_folder, trainable="none").train()
    batch = batch_of(*encoder.tokenize(TEXTS))
    first, second = encoder(batch).values, encoder(batch).values
    assert encoder.reloadable
    assert not first.requires_grad
    assert torch.equal(first, second)


def test_a_sequence_without_tokens_leaves_values_and_gradients_finite(text_folder):
    encoder = made(text_folder).train()
    found = encoder(batch_of([2, 5, 3], [], [2, 3]))
    assert found.sizes == [3, 0, 2]
    found.values.square().sum().backward()
    assert found.values.isfinite().all()
    assert all(p.grad.isfinite().all() for p in encoder.parameters() if p.grad is not None)


@torch.no_grad()
def test_assets_and_weights_build_it_again(text_folder, tmp_path):
    encoder = made(text_folder).eval()
    encoder.save_assets(tmp_path / "assets")
    again = made("gone/from-the-hub", assets=tmp_path / "assets").eval()
    again.load_state_dict(encoder.state_dict())
    rows = encoder.tokenize(TEXTS)
    assert again.tokenize(TEXTS) == rows
    assert torch.equal(again(batch_of(*rows)).values, encoder(batch_of(*rows)).values)


def test_a_checkpoint_with_a_language_model_head_is_read(masked_lm_folder):
    assert made(masked_lm_folder).n_layers == 1


@pytest.mark.parametrize("row", [[2, 17, 3], [-1, 3]])
def test_token_ids_outside_the_vocabulary_are_refused(bert_folder, row):
    with pytest.raises(InputError, match=r"encoder.text: token ids .*\(0 to 16\)"):
        made(bert_folder)(batch_of([2, 3], row))


def test_more_tokens_than_positions_are_refused(bert_folder, masked_lm_folder):
    with pytest.raises(InputError, match=r"encoder.text.max_tokens=41: expected 3 to 40"):
        made(bert_folder, max_tokens=41)
    with pytest.raises(InputError, match=r"expected 3 to 38"):
        made(masked_lm_folder, max_tokens=39)
    assert len(made(masked_lm_folder, max_tokens=38).tokenize(TEXTS)[2]) == 38


def test_a_batch_without_tokens_is_refused(bert_folder):
    with pytest.raises(InputError, match="needs tokens"):
        made(bert_folder)(Batch(("a",)))


@torch.no_grad()
def test_every_layer_is_that_of_transformers_for_one_text_alone(text_folder):
    """The states that the library itself gives for the text, in a batch with a longer one."""
    encoder = made(text_folder, layers="all").eval()
    model = AutoModel.from_pretrained(text_folder).eval()
    rows = encoder.tokenize(TEXTS)
    found = encoder(batch_of(*rows)).split()
    for row, states in zip(rows, found, strict=True):
        expected = model(torch.tensor([row]), output_hidden_states=True).hidden_states
        assert states.shape[1] == len(expected) == 4
        for number, layer in enumerate(expected):
            assert distance(states[:, number], layer[0]) < 1e-5


def test_layers_are_read_by_number_and_those_above_get_no_gradient(text_folder):
    encoder = made(text_folder, layers=[1])
    found = gradients(encoder)
    every = {name for name, _ in encoder.hf.named_parameters()}
    groups = getattr(encoder.hf.config, "num_hidden_groups", 3)
    assert found
    # What runs in layer 1 is trained, though the same weights run again above it.
    assert (found == every) == (groups == 1)


@torch.no_grad()
def test_a_decoder_knows_nothing_of_what_follows(gpt2_folder, bert_folder):
    for folder, knows in ((gpt2_folder, False), (bert_folder, True)):
        encoder = made(folder).eval()
        row = encoder.tokenize(["so happy"])[0]
        short, long = encoder(batch_of(row[:3])).values, encoder(batch_of(row)).values[:3]
        assert (distance(long, short) > 1e-3) == knows


def test_layers_that_share_weights_are_trained_together_or_not_at_all(albert_folder):
    with pytest.raises(
        InputError, match=r"trainable=1: layers of this model run several times.* 3 "
    ):
        made(albert_folder, trainable=1)
    trained = gradients(made(albert_folder, trainable=3))
    assert trained
    assert all(".albert_layer_groups.0." in name for name in trained)


@pytest.mark.parametrize("pool", ["first", "last", "mean"])
@torch.no_grad()
def test_a_text_becomes_one_state(bert_folder, pool):
    plain, encoder = (
        made(bert_folder, layers="all").eval(),
        made(bert_folder, layers="all", pool=pool),
    )
    rows = [*encoder.tokenize(TEXTS), []]
    found = encoder.eval()(batch_of(*rows))
    by_hand = {"first": lambda s: s[0], "last": lambda s: s[-1], "mean": lambda s: s.mean(0)}[pool]
    expected = [by_hand(states) for states in plain(batch_of(*rows)).split()[:-1]]
    assert found.sizes == [1] * len(TEXTS) + [0]
    torch.testing.assert_close(found.values, torch.stack(expected))
    assert encoder.positions(7) == 1
    assert encoder.positions(0) == 0
    assert [(p.text, p.span) for p in encoder.pieces("Go away.")] == [("Go away.", (0, 8))]
    assert encoder.pieces("")[0].span is None


def test_stored_states_know_how_they_were_pooled(bert_folder):
    described = HFTextEncoder.described(id=str(bert_folder))
    assert "pool" not in described
    assert HFTextEncoder.described(id=str(bert_folder), pool="last") == described | {"pool": "last"}


def test_no_such_pooling(gpt2_folder, as_in_use):
    with pytest.raises(
        InputError, match=r"encoder.text.pool=max: expected null .*first, last, mean"
    ):
        made(gpt2_folder, pool="max")
    with pytest.raises(InputError, match=r"pool=first: this model reads from left to right"):
        made(gpt2_folder, pool="first")


def test_a_character_of_several_tokens_stands_in_each(gpt2_folder):
    text = "so trüb"
    pieces = [piece for piece in made(gpt2_folder).pieces(text) if piece.span]
    assert [text[slice(*piece.span)] for piece in pieces] == [*"sotrüüb"]
