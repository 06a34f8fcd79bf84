"""An utterance's features do not depend on its batch: every architecture, layer and batch plan."""

import random

import pytest
import torch

from sermm.core.batch import Batch
from sermm.core.errors import InputError
from sermm.core.ragged import Ragged
from sermm.encoders.hf.families import ragged_attention, waveform_family
from sermm.encoders.hf.families.front_end import features_of, positions, strips
from sermm.encoders.hf.speech import HFSpeechEncoder
from sermm.encoders.hf.text import HFTextEncoder
from sermm.encoders.precision import computing

# IEMOCAP's longest next to its shortest, one frame, less than a frame, nothing, two of a length.
SECONDS = (34.1, 0.6, 3.3, 0.025, 0.01, 0.0, 3.3, 1.7)
TEXTS = ["I am so happy!", "", "Go away. " * 12, "No, no.", "Yes!", "I"]
# In bfloat16 most are equal to the last bit; where one is not, it is off by a unit or two of the
# eight bits that bfloat16 has.
RELATIVE = {"32-true": 1e-5, "bf16-true": 0.02, "bf16-mixed": 0.02}


def plans(n, lengths):
    """Batches of indices."""
    order = sorted(range(n), key=lengths.__getitem__)
    shuffled = random.Random(0).sample(range(n), n)
    return {
        "sorted": [order[: n // 2], order[n // 2 :]],
        "random": [shuffled[:3], shuffled[3:]],
        "long next to short": [[order[-1], order[0], order[1]], order[2:-1]],
        "all": [list(range(n))],
    }


def speech(indices):
    clips = []
    for index in indices:
        generator = torch.Generator().manual_seed(index)
        clips.append(0.1 * torch.randn(round(16000 * SECONDS[index]), generator=generator))
    return Batch(tuple(map(str, indices)), waveform=Ragged.pack(clips))


def text(encoder):
    rows = [torch.tensor(row) for row in encoder.tokenize(TEXTS)]
    return lambda indices: Batch(
        tuple(map(str, indices)), tokens=Ragged.pack([rows[i] for i in indices])
    )


def worst(encoder, batch_of, lengths):
    """The largest difference to the utterance alone, relative to a layer's largest magnitude."""
    alone = [encoder(batch_of([index])).values.float() for index in range(len(lengths))]
    found = {}
    for name, batches in plans(len(lengths), lengths).items():
        for batch in batches:
            for index, features in zip(batch, encoder(batch_of(batch)).split(), strict=True):
                assert features.shape == alone[index].shape
                difference = (features.float() - alone[index]).abs().amax((0, 2))
                relative = difference / alone[index].abs().amax((0, 2))
                found[name] = max(found.get(name, 0.0), float(relative.max()))
    return found


@torch.inference_mode()
@pytest.mark.parametrize("precision", RELATIVE)
def test_speech_is_the_same_alone_and_in_every_batch(speech_folder, precision):
    encoder = HFSpeechEncoder(str(speech_folder), layers="all", trainable="none").eval()
    with computing(encoder, "cpu", precision):
        found = worst(encoder, speech, SECONDS)
    assert max(found.values()) < RELATIVE[precision]


@torch.inference_mode()
@pytest.mark.parametrize("precision", RELATIVE)
def test_text_is_the_same_alone_and_in_every_batch(text_folder, precision):
    encoder = HFTextEncoder(str(text_folder), layers="all", trainable="none", max_tokens=32).eval()
    with computing(encoder, "cpu", precision):
        found = worst(encoder, text(encoder), [len(row) for row in encoder.tokenize(TEXTS)])
    assert max(found.values()) < RELATIVE[precision]


@torch.inference_mode()
def test_the_ways_of_a_gpu_give_the_same(speech_folder, monkeypatch):
    encoder = HFSpeechEncoder(str(speech_folder), layers="all", trainable="none").eval()
    batch = speech(range(len(SECONDS)))
    expected = encoder(batch).values
    monkeypatch.setattr(ragged_attention, "_one_by_one", ragged_attention._padded)
    monkeypatch.setattr(
        waveform_family, "features_of", lambda *given: features_of(*given[:-1], strip_samples=10**6)
    )
    found = encoder(batch).values
    assert float((found - expected).abs().max() / expected.abs().max()) < 1e-5


def test_strips_hold_what_fits():
    clips = [torch.zeros(n) for n in (3, 4, 9, 2, 2)]
    found = [[len(clip) for clip in strip] for strip in strips(clips, 7)]
    assert found == [[3, 4], [9], [2, 2]]
    assert len(list(strips(clips, 0))) == 5


def test_positions_of_stacked_convolutions():
    assert positions(10, [4], [3]) == 3
    assert positions(3, [4], [3]) == 0
    # (10 - 4) // 3 + 1 = 3; (3 - 2) // 1 + 1 = 2
    assert positions(10, [4, 2], [3, 1]) == 2


@torch.inference_mode()
def test_layers_come_out_in_the_order_given(wav2vec2_folder, bert_folder):
    for made, folder in ((HFSpeechEncoder, wav2vec2_folder), (HFTextEncoder, bert_folder)):
        options = {"max_tokens": 32} if made is HFTextEncoder else {}
        every = made(str(folder), layers="all", **options).eval()
        some = made(str(folder), layers=[3, 0, 2], **options).eval()
        batch = text(every)([0, 2]) if made is HFTextEncoder else speech([1, 2])
        assert (every.n_layers, some.n_layers) == (4, 3)
        assert torch.equal(some(batch).values, every(batch).values[:, [3, 0, 2]])


@pytest.mark.parametrize("layers", [[], [1, 1], [4], [-1], [True], ["last"], [1.0], 2])
def test_layers_that_are_not_there_are_refused(as_in_use, wav2vec2_folder, layers):
    with pytest.raises(InputError, match=r"encoder.speech.layers=.*from 0 .* to 3"):
        HFSpeechEncoder(str(wav2vec2_folder), layers=layers)


@torch.inference_mode()
def test_weights_are_as_before_after_computing_in_bfloat16(wav2vec2_folder):
    encoder = HFSpeechEncoder(str(wav2vec2_folder), trainable="none").eval()
    before = encoder(speech([1, 2])).values
    with computing(encoder, "cpu", "bf16-true"):
        rounded = encoder(speech([1, 2])).values
    assert rounded.dtype == torch.bfloat16
    assert 0 < float((rounded - before).norm() / before.norm()) < 0.02
    assert torch.equal(encoder(speech([1, 2])).values, before)


@torch.no_grad()
def test_weights_do_not_lie_where_a_file_has_them(speech_folder):
    encoder = HFSpeechEncoder(str(speech_folder))
    assert {value.data_ptr() % 64 for value in encoder.state_dict().values()} == {0}
