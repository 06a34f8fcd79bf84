import pytest
import torch

from sermm.core.batch import Batch
from sermm.core.errors import InputError
from sermm.core.ragged import Ragged
from sermm.encoders.hf.text import HFTextEncoder

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
    assert [len(row) for row in rows][1:3] == [2, 32]
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
    encoder = made(text_folder, trainable=1)
    trained = gradients(encoder)
    assert trained
    assert all(".layer.2." in name for name in trained)


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
