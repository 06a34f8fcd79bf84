"""Our scores against scikit-learn and torchmetrics."""

import numpy as np
import pytest
import torch
from sklearn.metrics import accuracy_score, balanced_accuracy_score, confusion_matrix, f1_score
from torchmetrics.functional.classification import multiclass_accuracy, multiclass_recall

from sermm.metrics.scores import confusion, scores


@pytest.mark.parametrize("seed", range(5))
def test_same_as_scikit_learn_and_torchmetrics(seed):
    random = np.random.default_rng(seed)
    k = 4
    labels = np.concatenate([np.arange(k), random.choice(k, 300, p=[0.5, 0.3, 0.15, 0.05])])
    predicted = np.where(
        random.random(len(labels)) < 0.6, labels, random.integers(0, k, len(labels))
    )
    table = confusion(labels, predicted, k)
    got = scores(table)

    assert (table == confusion_matrix(labels, predicted)).all()
    assert got.ua == pytest.approx(balanced_accuracy_score(labels, predicted))
    assert got.wa == pytest.approx(accuracy_score(labels, predicted))
    assert got.f1_macro == pytest.approx(f1_score(labels, predicted, average="macro"))
    assert got.f1_weighted == pytest.approx(f1_score(labels, predicted, average="weighted"))
    tensors = torch.from_numpy(predicted), torch.from_numpy(labels)
    assert got.ua == pytest.approx(float(multiclass_recall(*tensors, k, average="macro")), abs=1e-6)
    assert got.wa == pytest.approx(
        float(multiclass_accuracy(*tensors, k, average="micro")), abs=1e-6
    )


def test_absent_class_as_in_balanced_accuracy():
    labels, predicted = np.array([0, 0, 1, 1, 1]), np.array([0, 1, 1, 1, 0])
    assert scores(confusion(labels, predicted, 3)).ua == pytest.approx(
        balanced_accuracy_score(labels, predicted)
    )
