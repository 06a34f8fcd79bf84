"""Li 2025 in numbers that can be checked by hand; the equations are in tests/parity."""

from functools import partial

import pytest
import torch

from sermm.core.batch import Batch
from sermm.core.errors import InputError
from sermm.core.ragged import Ragged
from sermm.encoders.recurrent import BiLSTM
from sermm.encoders.stored import Stored
from sermm.models.deberta_bilstm import CrossModalAttention, DebertaBiLSTM

LENGTHS = {"speech": [7, 1, 3], "text": [4, 6, 1]}


def made(**options):
    torch.manual_seed(0)
    encoders = Stored("speech", 40, 1), Stored("text", 768, 1)
    return DebertaBiLSTM(*encoders, 6, **options)


def batch_of(lengths=LENGTHS, seed=1):
    generator = torch.Generator().manual_seed(seed)
    cached = {
        name: Ragged.pack([torch.randn(n, 1, width, generator=generator) for n in lengths[name]])
        for name, width in (("speech", 40), ("text", 768))
    }
    return Batch(("a", "b", "c")[: len(lengths["speech"])], cached=cached)


def size(module):
    return sum(p.numel() for p in module.parameters())


def test_sizes_are_those_of_the_source():
    system = made()
    assert size(system.over_time) == 174_080
    assert size(system.text_fc) == 768 * 256 + 256
    # W_q alone: keys and values are the text states; and the layer normalisation.
    assert size(system.attention) == 256 * 256 + 256 + 2 * 256
    assert size(system.classifier) == 512 * 256 + 256 + 256 * 6 + 6


@pytest.mark.parametrize(("kv_share", "projections"), [("text_fc", 1), ("tied", 2), ("none", 3)])
def test_what_keys_and_values_share(kv_share, projections):
    attention = CrossModalAttention(256, kv_share=kv_share)
    assert size(attention) == projections * (256 * 256 + 256) + 2 * 256
    assert (attention.key is attention.value) == (kv_share != "none")


def test_each_step_of_table_2_has_the_same_head_and_adds_one_thing():
    steps = [
        made(audio="mean", text_mode="static", fusion="concatenation"),
        made(audio="bilstm", text_mode="static", fusion="concatenation"),
        made(audio="bilstm", text_mode="tuned", fusion="concatenation"),
        made(audio="bilstm", text_mode="tuned", fusion="attention"),
    ]
    assert {size(system.classifier) for system in steps} == {size(steps[0].classifier)}
    assert [isinstance(system.over_time, BiLSTM) for system in steps] == [False, True, True, True]
    assert [system.static for system in steps] == [True, True, False, False]
    assert [system.attention is not None for system in steps] == [False, False, False, True]


def test_the_attention_weights_give_what_the_attention_reads():
    attention = CrossModalAttention(8, heads=1, kv_share="none").eval()
    own = Ragged.pack([torch.randn(3, 8), torch.randn(1, 8)])
    source = Ragged.pack([torch.randn(2, 8), torch.randn(5, 8)])
    weights = attention.weights(own, source)
    assert [tuple(w.shape) for w in weights] == [(3, 2), (1, 5)]
    for found, alpha, states in zip(
        attention.read(own, source).split(), weights, source.split(), strict=True
    ):
        torch.testing.assert_close(alpha.sum(-1), torch.ones(len(alpha)))
        torch.testing.assert_close(found, alpha @ attention.value(states))


def test_the_scale_of_the_equation_makes_the_weights_flatter():
    own, source = (Ragged.pack([torch.randn(4, 16)]) for _ in range(2))
    by_head = CrossModalAttention(16, heads=4, scale="head")
    by_model = CrossModalAttention(16, heads=4, scale="model")
    by_model.load_state_dict(by_head.state_dict())
    (sharp,), (flat,) = by_head.weights(own, source), by_model.weights(own, source)
    assert flat.std() < sharp.std()


def test_attended_is_speech_over_text_and_nothing_without_attention():
    (found,) = made().eval().attended(batch_of())
    assert (found.query, found.key) == ("speech", "text")
    shapes = [tuple(w.shape) for w in found.weights]
    assert shapes == list(zip(LENGTHS["speech"], LENGTHS["text"], strict=True))
    assert made(fusion="concatenation").attended(batch_of()) == ()


def test_an_utterance_without_any_token_keeps_its_speech():
    system = made().eval()
    with torch.no_grad():
        silent = system(batch_of({"speech": [7, 1, 3], "text": [4, 0, 1]}))
    assert silent.logits.isfinite().all()
    assert (silent.embedding[1, 256:] == 0).all()


def test_a_static_text_encoder_is_not_trained():
    class Words(Stored):
        def __init__(self):
            super().__init__("text", 768, 1)
            self.linear = torch.nn.Linear(768, 768)

        def forward(self, batch):
            return super().forward(batch).map(self.linear)

    for mode in ("static", "tuned"):
        text = Words()
        system = DebertaBiLSTM(Stored("speech", 40, 1), text, 6, text_mode=mode).train()
        system(batch_of()).logits.sum().backward()
        assert (text.linear.weight.grad is None) == (mode == "static")
        assert text.training == (mode == "tuned")


def test_the_classifier_may_read_the_attended_speech_alone():
    system = made(attended_only=True)
    assert system(batch_of()).embedding.shape == (3, 256)
    assert made()(batch_of()).embedding.shape == (3, 512)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"audio": "max"}, r"model\.system\.audio=max: expected bilstm, mean"),
        ({"text_mode": "frozen"}, r"text_mode=frozen: expected tuned, static"),
        ({"fusion": "gate"}, r"fusion=gate: expected attention, concatenation"),
        ({"width": 255}, r"model\.system\.width=255: expected an even number"),
        ({"attended_only": True, "fusion": "concatenation"}, r"needs model\.fusion=attention"),
        ({"attention": partial(CrossModalAttention, heads=7)}, r"attention\.heads=7"),
        ({"attention": partial(CrossModalAttention, kv_share="all")}, r"kv_share=all: expected"),
        ({"attention": partial(CrossModalAttention, scale="none")}, r"scale=none: expected"),
    ],
)
def test_wrong_options_are_named(monkeypatch, options, said):
    import jaxtyping

    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)
    with pytest.raises(InputError, match=said):
        made(**options)
