"""The same questions put to every file of conf/model and conf/encoder.

Systems are built as a user would, with the demo's encoders, on made-up speech and text.
"""

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from sermm.configuration.compose import conf_dir
from sermm.configuration.verbs import RunConfig
from sermm.core.batch import Batch
from sermm.core.ragged import Ragged
from sermm.data.characters import spelled
from sermm.engine.assembly.build import build
from sermm.models.base import CountingSystem

K = 4
WORDS = ("alpha", "bravo", "charlie", "delta", "echo", "foxtrot")
TRANSCRIPTS = [" ".join(WORDS[(i + j) % 6] for j in range(1 + i % 4)) for i in range(8)]


def names(group):
    """The files of a group of conf/; those with an underscore are parts of others."""
    found = sorted(p.stem for p in (conf_dir() / group).glob("*.yaml") if p.stem[0] != "_")
    assert found
    return found


def config(model, speech="tiny", text="tiny", *more):
    encoders = [f"encoder/speech={speech}", f"encoder/text={text}"]
    return RunConfig.of([f"model={model}", *encoders, *more])


def made(model, speech="tiny", text="tiny", *more):
    """A system as `sermm train` builds it, with the demo's encoders."""
    return build(config(model, speech, text, *more), K, None, TRANSCRIPTS)


def speech(n=8, longest_s=1.4):
    """Tones in noise of different lengths."""
    rng = np.random.default_rng(0)
    for i in range(n):
        t = np.arange(round(16000 * (0.2 + (longest_s - 0.2) * i / max(1, n - 1)))) / 16000
        yield torch.tensor(
            0.3 * np.sin(2 * np.pi * (200 + 300 * (i % K)) * t), dtype=torch.float32
        ) + (0.01 * torch.tensor(rng.standard_normal(len(t)), dtype=torch.float32))


def batch_of(system, waveforms, transcripts, labels=None):
    """A batch with what the system reads, and labels i mod 4 unless given."""
    tokens = None
    if system.text_encoder is not None:
        ids = system.text_encoder.tokenize(list(transcripts))
        tokens = Ragged.pack([torch.tensor(i, dtype=torch.int64) for i in ids])
    characters = None
    if "characters" in system.needs:
        ids = [spelled(text) for text in transcripts]
        characters = Ragged.pack([torch.tensor(i, dtype=torch.int64) for i in ids])
    n = len(transcripts)
    return Batch(
        tuple(f"u{i}" for i in range(n)),
        waveform=Ragged.pack(list(waveforms)) if "waveform" in system.needs else None,
        tokens=tokens,
        characters=characters,
        label=torch.arange(n) % K if labels is None else labels,
    )


@pytest.fixture(scope="module")
def waveforms():
    return list(speech())


# Reads nothing but labels, so there is no cue that it could learn.
BLIND = {"majority"}
# Encoders that need a hub or a folder are asked in tests/encoders, with checkpoints on disk.
SPEECH = [name for name in names("encoder/speech") if name != "hf"]
SYSTEMS = [(model, "tiny") for model in names("model")]
SYSTEMS += [("speech_only", name) for name in SPEECH if name != "tiny"]


@pytest.fixture(scope="module", params=SYSTEMS, ids="-".join)
def system(request, waveforms):
    model, speech_encoder = request.param
    system = made(model, speech_encoder)
    if isinstance(system, CountingSystem):
        system.observe(batch_of(system, waveforms, TRANSCRIPTS))
        system.conclude()
    return system.eval()


@pytest.fixture(scope="module")
def batch(system, waveforms):
    return batch_of(system, waveforms, TRANSCRIPTS)


@torch.no_grad()
def logits(system, batch):
    return system(batch).logits


def test_logits_are_finite_and_one_row_an_utterance(system, batch):
    output = system(batch)
    assert output.logits.shape == (8, K)
    assert output.embedding.shape[0] == 8
    assert output.logits.isfinite().all()
    assert output.embedding.isfinite().all()


def test_an_utterance_alone_gets_the_logits_it_gets_among_longer_ones(system, batch, waveforms):
    together = logits(system, batch)
    for i in (0, 3, 7):
        alone = batch_of(system, [waveforms[i]], [TRANSCRIPTS[i]])
        torch.testing.assert_close(logits(system, alone)[0], together[i], rtol=1e-4, atol=1e-5)


def test_only_as_in_the_published_code_padding_takes_part(waveforms):
    models = [m for m in names("model") if config(m).model.system.has("literal")]
    assert models
    for model in models:
        literal = made(model, "tiny", "tiny", "model.system.literal=true").eval()
        together = logits(literal, batch_of(literal, waveforms, TRANSCRIPTS))
        masked = made(model).eval()
        masked.load_state_dict(literal.state_dict())
        for i in (0, 3):
            one = batch_of(literal, [waveforms[i]], [TRANSCRIPTS[i]])
            alone = logits(literal, one)
            assert (alone[0] - together[i]).abs().max() > 1e-3, model
            # Alone there is no padding. Among others the masked system stays with that, see above.
            torch.testing.assert_close(logits(masked, one), alone, rtol=1e-4, atol=1e-5)


def test_the_order_of_a_batch_does_not_matter(system, batch, waveforms):
    order = [5, 0, 7, 2, 1, 6, 4, 3]
    shuffled = batch_of(system, [waveforms[i] for i in order], [TRANSCRIPTS[i] for i in order])
    torch.testing.assert_close(
        logits(system, shuffled), logits(system, batch)[order], rtol=1e-4, atol=1e-5
    )


def test_an_empty_transcript_gives_finite_logits_and_changes_no_other(system, batch, waveforms):
    silent = batch_of(system, waveforms, ["", *TRANSCRIPTS[1:]])
    found = logits(system, silent)
    assert found.isfinite().all()
    torch.testing.assert_close(found[1:], logits(system, batch)[1:], rtol=1e-4, atol=1e-5)


def test_a_click_of_a_few_samples_gives_finite_logits(system, waveforms):
    short = batch_of(system, [waveforms[0][:50], waveforms[1]], TRANSCRIPTS[:2])
    assert logits(system, short).isfinite().all()


def test_state_dict_round_trip(system, batch, request):
    model, speech_encoder = request.node.callspec.params["system"]
    other = made(model, speech_encoder).eval()
    with torch.no_grad():
        for parameter in other.parameters():
            parameter.add_(1.0)
    other.load_state_dict(system.state_dict())
    torch.testing.assert_close(logits(other, batch), logits(system, batch), rtol=0, atol=0)


@pytest.mark.parametrize(("model", "speech_encoder"), SYSTEMS)
def test_gradients_reach_every_trained_parameter(model, speech_encoder, waveforms):
    system = made(model, speech_encoder).train()
    if isinstance(system, CountingSystem):
        assert not any(p.requires_grad for p in system.parameters())
        return
    step(system, batch_of(system, waveforms, TRANSCRIPTS)).backward()
    without = [n for n, p in system.named_parameters() if p.requires_grad and p.grad is None]
    assert not without


def step(system, batch: Batch):
    output = system(batch)
    return F.cross_entropy(output.logits, batch.label) + sum(output.losses.values())


@pytest.mark.parametrize(("model", "speech_encoder"), SYSTEMS)
def test_a_planted_cue_is_learned(model, speech_encoder):
    if model in BLIND:
        pytest.skip("reads nothing but labels")
    torch.manual_seed(0)
    system = made(model, speech_encoder).train()
    # Tone and first word both give the class away.
    said = [["alpha", "bravo", "charlie", "delta"][i % K] + " echo" for i in range(16)]
    batch = batch_of(system, list(speech(16, 0.6)), said)
    if isinstance(system, CountingSystem):
        system.eval().observe(batch)
        system.conclude()
    else:
        optimizer = torch.optim.AdamW(system.parameters(), lr=3e-3)
        for _ in range(60):
            optimizer.zero_grad()
            step(system, batch).backward()
            torch.nn.utils.clip_grad_norm_(system.parameters(), 1.0)
            optimizer.step()
    right = (logits(system.eval(), batch).argmax(-1) == batch.label).float().mean()
    assert right.item() >= 0.9
