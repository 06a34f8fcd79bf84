from lightning import Callback

from sermm.engine.bench_epoch import speech_task
from sermm.engine.fit import fit


class Modes(Callback):
    """Notes which modules are not in training mode while training."""

    def __init__(self) -> None:
        self.seen: list[bool] = []

    def on_train_batch_start(self, trainer, pl_module, batch, batch_idx) -> None:
        self.seen.append(all(m.training for m in pl_module.system.modules()))


def test_a_system_that_comes_in_evaluation_mode_is_trained_in_training_mode(tmp_path):
    task = speech_task(tmp_path, 16, ["trainer.max_epochs=1"])
    task.system.eval()
    modes = Modes()
    keeper = fit(task, [modes])
    assert modes.seen
    assert all(modes.seen)
    assert (keeper.best_epoch, keeper.last_epoch) == (1, 1)
