"""What tests of stopping and going on share."""

from contextlib import contextmanager

import pytest

from sermm.engine.training.learner import Learner


@pytest.fixture
def stopped_in(monkeypatch):
    """Within `stopped_in(epoch)`, training is stopped in that epoch, the first being 1."""

    @contextmanager
    def stopping(epoch):
        step = Learner.training_step

        def training_step(learner, batch, batch_idx):
            if learner.current_epoch == epoch - 1:
                raise KeyboardInterrupt
            return step(learner, batch, batch_idx)

        with monkeypatch.context() as patched:
            patched.setattr(Learner, "training_step", training_step)
            yield patched

    return stopping
