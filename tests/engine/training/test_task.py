"""What is said of a device before a run starts on it."""

from types import SimpleNamespace

import pytest
import torch

from sermm.engine.training import task


@pytest.mark.parametrize("accelerator", ["auto", "cpu"])
def test_a_gpu_without_kernels_is_named_if_it_is_used(accelerator, monkeypatch, capsys):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(task, "lacking_kernels", lambda: ["GPU 0 is of sm_70"])
    config = SimpleNamespace(title="demo", trainer=SimpleNamespace(accelerator=accelerator))
    # Less the shapes' checker, which wants a whole configuration.
    getattr(task.announce_device, "__wrapped__", task.announce_device)(config)
    said = "demo: GPU 0 is of sm_70\n" if accelerator == "auto" else ""
    assert capsys.readouterr().err == said
