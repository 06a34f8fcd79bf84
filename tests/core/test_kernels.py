"""GPUs that the installed torch has no kernels for; torch.cuda is made up."""

import pytest
import torch

from sermm.core.kernels import lacking_kernels

LOCKED = ["sm_75", "sm_80", "sm_86", "sm_90", "sm_100", "sm_120", "compute_120"]


@pytest.fixture
def gpu(monkeypatch):
    """Has torch see one GPU of a compute capability, and itself have kernels of these names."""

    def put(capability, names=LOCKED):
        monkeypatch.setattr(torch.version, "hip", None)
        monkeypatch.setattr(torch.cuda, "get_arch_list", lambda: names)
        monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
        monkeypatch.setattr(torch.cuda, "get_device_name", lambda number: "Tesla V100")
        monkeypatch.setattr(torch.cuda, "get_device_capability", lambda number: capability)

    return put


def test_an_old_gpu_is_named_with_a_way_out(gpu):
    gpu((7, 0))
    (line,) = lacking_kernels()
    assert "GPU 0 (Tesla V100) is of sm_70" in line
    assert "sm_75, sm_80" in line
    assert "TORCH=cu126" in line


@pytest.mark.parametrize(
    ("capability", "names", "runs"),
    [
        ((9, 0), LOCKED, True),
        ((8, 9), LOCKED, True),  # by sm_86
        ((8, 0), ["sm_86"], False),
        ((12, 1), LOCKED, True),
        ((13, 0), LOCKED, True),  # compiled when first used
        ((9, 0), ["sm_80", "compute_80"], True),
        ((9, 0), ["sm_90a"], True),
        ((10, 0), ["sm_90a"], False),
        ((9, 0), ["gfx90a"], True),  # of a kind that is not known: nothing is said
        ((7, 0), [], True),
    ],
)
def test_which_kernels_run_on_which_gpu(gpu, capability, names, runs):
    gpu(capability, names)
    assert (lacking_kernels() == []) is runs


def test_amds_are_not_looked_at(gpu, monkeypatch):
    gpu((7, 0))
    monkeypatch.setattr(torch.version, "hip", "6.4")
    assert lacking_kernels() == []
