"""LoRA on checkpoints of every family: what it trains, what it leaves, what is kept of it."""

import json
import shutil

import pytest
import torch
from transformers import AutoConfig, AutoModel

from sermm.core.batch import Batch
from sermm.core.errors import InputError
from sermm.core.ragged import Ragged
from sermm.encoders.adapter import Lora
from sermm.encoders.hf.base import HFEncoder
from sermm.encoders.hf.lora import TARGETS, add_lora, of_adapter
from sermm.encoders.hf.speech import HFSpeechEncoder
from sermm.encoders.hf.text import HFTextEncoder

TEXTS = ["I am so happy!", "Go away.", ""]


def speech(folder, **options):
    return HFSpeechEncoder(str(folder), **({"adapter": "lora"} | options))


def text(folder, **options):
    return HFTextEncoder(str(folder), **({"adapter": "lora", "max_tokens": 30} | options))


def clips(_encoder):
    generator = torch.Generator().manual_seed(0)
    found = [0.1 * torch.randn(n, generator=generator) for n in (9000, 300, 5000)]
    return Batch(("a", "b", "c"), waveform=Ragged.pack(found))


def tokens(encoder):
    rows = [torch.tensor(ids, dtype=torch.int64) for ids in encoder.tokenize(TEXTS)]
    return Batch(("a", "b", "c"), tokens=Ragged.pack(rows))


def trained(encoder):
    return {name: p for name, p in encoder.named_parameters() if p.requires_grad}


def step(encoder, batch, lr=0.1):
    optimizer = torch.optim.SGD(trained(encoder).values(), lr=lr)
    optimizer.zero_grad()
    torch.manual_seed(1)
    values = encoder.train()(batch).values
    (values * torch.arange(values.numel()).view(values.shape).cos()).sum().backward()
    optimizer.step()


def assert_contract(plain, encoder, batch):
    """At the start nothing is changed; A and B alone learn; the rest stays, bit for bit."""
    with torch.no_grad():
        expected = plain.eval()(batch).values
        assert torch.equal(encoder.eval()(batch).values, expected)
    base = {n: v.clone() for n, v in encoder.state_dict().items() if not of_adapter(n)}
    names = trained(encoder).keys()
    assert names
    assert all(of_adapter(name) for name in names)
    start = {name: p.detach().clone() for name, p in trained(encoder).items()}
    step(encoder, batch)
    got = {name for name, p in encoder.named_parameters() if p.grad is not None}
    assert got == set(names)
    # B is zero: A learns from the second step on.
    assert all((p.grad == 0).all() == ("lora_A" in n) for n, p in trained(encoder).items())
    step(encoder, batch)
    assert not any((p.grad == 0).all() for p in trained(encoder).values())
    assert not all(torch.equal(start[n], p) for n, p in trained(encoder).items())
    state = encoder.state_dict()
    assert all(torch.equal(value, state[name]) for name, value in base.items())
    with torch.no_grad():
        assert not torch.equal(encoder.eval()(batch).values, expected)


def test_every_speech_family_learns_a_and_b_alone(speech_folder):
    encoder = speech(speech_folder, layers="all", freeze_front_end=False)
    assert_contract(speech(speech_folder, adapter=None, layers="all"), encoder, clips(encoder))
    assert encoder.adapter.targets == TARGETS[encoder.hf.config.model_type]
    # 3 layers x 2 projections x (A + B) of rank 8 at 16 dimensions.
    assert sum(p.numel() for p in trained(encoder).values()) == 3 * 2 * 2 * 8 * 16


def test_every_text_family_learns_a_and_b_alone(text_folder):
    encoder = text(text_folder, layers="all")
    assert_contract(text(text_folder, adapter=None, layers="all"), encoder, tokens(encoder))
    # Layers that share their weights share an adapter.
    layers = len({id(block) for block in encoder._blocks})
    targets = TARGETS[encoder.hf.config.model_type]
    assert len(trained(encoder)) == layers * len(targets) * 2


def test_without_updates_it_says_what_the_formula_says(bert_folder):
    encoder = text(bert_folder, adapter={"rank": 2, "alpha": 6, "dropout": 0.0})
    query = encoder.hf.encoder.layer[0].attention.self.query
    a, b = query.lora_A.default.weight, query.lora_B.default.weight
    assert (a.shape, b.shape) == ((2, 16), (16, 2))
    with torch.no_grad():
        b.normal_()
        x = torch.randn(5, 16)
        torch.testing.assert_close(query(x), query.base_layer(x) + 3.0 * x @ a.T @ b.T)


def test_only_the_dropout_of_the_adapter_draws(wav2vec2_folder, bert_folder):
    for encoder, batch in (
        (speech(wav2vec2_folder, adapter={"dropout": 0.0}, spec_augment=True), clips),
        (text(bert_folder, adapter={"dropout": 0.0}), tokens),
    ):
        step(encoder, batch(encoder))
        with torch.no_grad():
            assert torch.equal(
                encoder.train()(batch(encoder)).values, encoder.eval()(batch(encoder)).values
            )
    dropping = text(bert_folder, adapter={"dropout": 0.5})
    step(dropping, tokens(dropping))
    with torch.no_grad():
        one, other = (dropping.train()(tokens(dropping)).values for _ in range(2))
    assert not torch.equal(one, other)


@pytest.mark.parametrize(
    ("options", "layers"),
    [({"trainable": 1}, {2}), ({"layers": [1, 2]}, {0, 1}), ({"trainable": 2, "layers": [2]}, {1})],
)
def test_the_layers_are_the_top_ones_that_are_read(wav2vec2_folder, options, layers):
    found = {name.split(".layers.")[1][0] for name in trained(speech(wav2vec2_folder, **options))}
    assert found == {str(layer) for layer in layers}


def test_layers_that_run_again_learn_the_same(wav2vec2_folder, bert_folder):
    for made, folder, batch in ((speech, wav2vec2_folder, clips), (text, bert_folder, tokens)):
        found = []
        for again in (False, True):
            torch.manual_seed(0)
            encoder = made(folder, layers="all")
            if again:
                encoder.recompute()
            step(encoder, batch(encoder))
            step(encoder, batch(encoder))
            found.append([p.detach() for p in trained(encoder).values()])
        torch.testing.assert_close(*found, rtol=1e-6, atol=1e-7)


def test_in_bfloat16_it_learns_too(wav2vec2_folder):
    encoder = speech(wav2vec2_folder)
    with torch.autocast("cpu", torch.bfloat16):
        encoder.train()(clips(encoder)).values.float().square().sum().backward()
    grads = [p.grad for name, p in trained(encoder).items() if "lora_B" in name]
    assert all(grad.isfinite().all() and grad.abs().sum() > 0 for grad in grads)


def test_every_family_of_ours_has_targets():
    from sermm.encoders.hf import speech as of_speech
    from sermm.encoders.hf import text as of_text

    assert {*of_speech.FAMILIES, *of_text.FAMILIES} <= TARGETS.keys()


def test_other_targets_may_be_named(bert_folder):
    encoder = text(bert_folder, adapter={"targets": ["query", "output.dense"]})
    assert encoder.adapter.targets == ("query", "output.dense")
    assert any("intermediate" not in n and "output.dense.lora_A" in n for n in trained(encoder))


def test_the_state_to_keep_is_the_adapter(bert_folder):
    encoder = text(bert_folder)
    assert {n for n in encoder.state_dict() if not encoder.reloads(n)} == trained(encoder).keys()
    assert not any(text(bert_folder, adapter=None).reloads(n) for n in encoder.state_dict())


def restored(made, folder, assets):
    encoder = made(folder)
    encoder.save_assets(assets)
    return made(folder, assets=assets)


def test_an_adapter_comes_back_onto_its_base(wav2vec2_folder, bert_folder, tmp_path):
    for made, folder, batch in ((speech, wav2vec2_folder, clips), (text, bert_folder, tokens)):
        encoder, assets = made(folder), tmp_path / made.__name__
        step(encoder, batch(encoder))
        encoder.save_assets(assets)
        again = made(folder, assets=assets)
        kept = {n: v for n, v in encoder.state_dict().items() if not encoder.reloads(n)}
        assert again.load_state_dict(kept, strict=False).unexpected_keys == []
        with torch.no_grad():
            ours, theirs = (e.eval()(batch(e)).values for e in (encoder, again))
        assert torch.equal(ours, theirs)


@pytest.mark.parametrize("adapter", ["lora", None])
def test_a_base_that_is_another_or_gone_is_refused(wav2vec2_folder, tmp_path, adapter):
    folder = shutil.copytree(wav2vec2_folder, tmp_path / "base")
    options = {"adapter": adapter} | ({} if adapter else {"trainable": "none"})
    speech(folder, **options).save_assets(tmp_path / "assets")
    # What lies beside the weights may change.
    (folder / "README.json").write_text(json.dumps({}))
    speech(folder, **options, assets=tmp_path / "assets")
    torch.manual_seed(5)
    AutoModel.from_config(AutoConfig.from_pretrained(folder)).save_pretrained(folder)
    with pytest.raises(InputError, match=r"base: its weights are not those.*put the checkpoint of"):
        speech(folder, **options, assets=tmp_path / "assets")
    shutil.rmtree(folder)
    with pytest.raises(InputError, match=r"encoder\.speech\.id=.*base: there is no such folder"):
        speech(folder, **options, assets=tmp_path / "assets")


@pytest.mark.parametrize(
    ("adapter", "words"),
    [
        ("lroa", r"adapter=lroa: expected lora, a record such as .* or null"),
        (3, r"adapter=3: expected lora"),
        ({"kind": "prefix"}, r"adapter=prefix: expected lora"),
        ({"rank": 0}, r"adapter\.rank=0: expected a whole number from 1"),
        ({"rank": -4}, r"adapter\.rank=-4: expected"),
        ({"rank": 2.5}, r"adapter\.rank=2\.5: expected"),
        ({"rank": True}, r"adapter\.rank=True: expected"),
        ({"alpha": 0}, r"adapter\.alpha=0: expected a number above 0"),
        ({"alpha": -1.0}, r"adapter\.alpha=-1\.0: expected"),
        ({"alpha": "high"}, r"adapter\.alpha=high: expected"),
        ({"dropout": 1.0}, r"adapter\.dropout=1\.0: expected a number from 0"),
        ({"targets": []}, r"adapter\.targets=\[\]: expected a list of names"),
        ({"targets": "q_proj"}, r"adapter\.targets=q_proj: expected a list"),
        ({"ranks": 4}, r"adapter\.ranks: there is no such setting.*rank"),
        ({"targets": ["q_porj"]}, r"no linear layer q_porj; they have .*q_proj"),
    ],
)  # fmt: skip
def test_what_is_no_adapter_is_refused(wav2vec2_folder, as_in_use, adapter, words):
    with pytest.raises(InputError, match=words):
        speech(wav2vec2_folder, adapter=adapter)


def test_a_family_without_targets_says_which_have_some(bert_folder):
    hf = text(bert_folder, adapter=None).hf
    hf.config.model_type = "unheard-of"
    with pytest.raises(InputError, match=r"'unheard-of' model.*targets:.*whisper.*gpt2"):
        add_lora(hf, list(hf.encoder.layer), Lora.of("lora", "k"), "encoder.text")
    named = Lora.of({"targets": ["query"]}, "k")
    assert add_lora(hf, list(hf.encoder.layer), named, "encoder.text") == ("query",)


def test_what_does_not_go_with_an_adapter_is_refused(bert_folder):
    with pytest.raises(InputError, match=r"trainable=none trains nothing.*features=finetune"):
        text(bert_folder, trainable="none")
    with pytest.raises(InputError, match=r"gdes learns a residual.*gdes=none.*adapter=null"):
        text(bert_folder, gdes="full")
    with pytest.raises(InputError, match=r"have no linear layer query or value; they have none"):
        text(bert_folder, layers=[0])


def test_alpha_follows_the_rank_and_two_ways_to_say_the_same_are_one():
    assert Lora.of("lora", "k") == Lora.of({"kind": "lora", "rank": 8, "alpha": 16}, "k")
    assert Lora.of({"rank": 4}, "k").alpha == 8.0
    assert Lora.of(None, "k") is None
    assert Lora.of(Lora.of({"rank": 4}, "k").plain, "k") == Lora.of({"rank": 4}, "k")
    assert HFEncoder.adapter is None
