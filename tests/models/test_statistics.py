import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression as Regression
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC

from sermm.core.batch import Batch
from sermm.core.errors import InputError
from sermm.core.ragged import Ragged
from sermm.encoders.base import Encoder
from sermm.encoders.spectral.frames import SpectralFrames
from sermm.models.statistics import SVM, LogisticRegression


class Given(Encoder):
    """The waveform as two layers of two values."""

    needs = frozenset({"waveform"})
    n_layers, width = 2, 2

    def forward(self, batch):
        return batch.waveform.map(lambda values: values.view(-1, 2, 2))


def utterances(n, n_classes=3, seed=0):
    """Sequences of 4 values a position about a mean that is the class's, noise over it."""
    generator = torch.Generator().manual_seed(seed)
    label = torch.arange(n) % n_classes
    means = torch.randn(n_classes, 4, generator=torch.Generator().manual_seed(9))
    states = [
        means[k] + 0.7 * torch.randn(int(5 + i % 3), 4, generator=generator)
        for i, k in enumerate(label.tolist())
    ]
    vectors = torch.stack([s.mean(0) for s in states]).numpy()
    deviations = torch.stack([s.std(0, correction=0) for s in states]).numpy()
    batch = Batch(tuple(map(str, range(n))), waveform=Ragged.pack(states), label=label)
    return batch, vectors, np.concatenate([vectors, deviations], axis=1)


def learned(system, batch):
    system.observe(batch)
    system.conclude()
    return system.eval()


@pytest.mark.parametrize("n_classes", [2, 3])
def test_logistic_regression_is_that_of_scikit_learn_on_mean_states(n_classes):
    train, vectors, _ = utterances(60, n_classes)
    test, unseen, _ = utterances(30, n_classes, seed=1)
    system = learned(LogisticRegression({"frame": Given()}, n_classes, c=0.1), train)
    scaler = StandardScaler().fit(vectors)
    expected = Regression(C=0.1, max_iter=5000).fit(scaler.transform(vectors), train.label)
    found = system(test).logits.softmax(-1).numpy()
    np.testing.assert_allclose(found, expected.predict_proba(scaler.transform(unseen)), atol=1e-4)


@pytest.mark.parametrize("n_classes", [2, 3])
def test_the_machine_is_that_of_scikit_learn_on_means_and_deviations(n_classes):
    train, _, both = utterances(60, n_classes)
    test, _, unseen = utterances(30, n_classes, seed=1)
    system = learned(SVM({"frame": Given()}, n_classes, c=2.0), train)
    scaler = StandardScaler().fit(both)
    expected = SVC(C=2.0).fit(scaler.transform(both), train.label)
    found = system(test).logits.argmax(-1).numpy()
    assert (found == expected.predict(scaler.transform(unseen))).mean() >= 0.95


@pytest.mark.parametrize("made", [LogisticRegression, SVM])
def test_what_was_learned_survives_a_round_trip(made):
    train, _, _ = utterances(60)
    test, _, _ = utterances(30, seed=1)
    system = learned(made({"frame": Given()}, 3), train)
    again = made({"frame": Given()}, 3)
    again.load_state_dict(system.state_dict())
    torch.testing.assert_close(again(test).logits, system(test).logits)
    assert system(test).logits.argmax(-1).eq(test.label).float().mean() > 0.8


@pytest.mark.parametrize("made", [LogisticRegression, SVM])
def test_a_strength_that_is_none_is_refused(made):
    with pytest.raises(InputError, match=r"model.system.c=0.0: expected a number above 0"):
        made({"frame": Given()}, 3, c=0.0)


def test_frames_are_the_features_of_the_clip_without_its_silence():
    generator = torch.Generator().manual_seed(0)
    clip = 0.1 * torch.randn(16000, generator=generator)
    silent = torch.cat([torch.zeros(8000), clip, torch.zeros(8000)])
    encoder = SpectralFrames(n_mfcc=13, centred=False)
    batch = Batch(("a", "b"), waveform=Ragged.pack([clip, silent]))
    alone, trimmed = encoder(batch).split()
    assert alone.shape[1:] == (1, encoder.width)
    assert abs(len(trimmed) - len(alone)) <= 3
    whole = SpectralFrames(trim_db=None, n_mfcc=13, centred=False)
    assert len(whole(batch).split()[1]) > 190
    assert not list(encoder.parameters())
    assert SpectralFrames.origin().weights == "fixed"
