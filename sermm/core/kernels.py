"""Whether the torch that is installed can compute on a GPU at all.

A wheel of torch has kernels for some generations of GPUs. On an older one everything works until
the first kernel is called, and then the error names no way out.
"""

import re

import torch

_KERNELS = re.compile(r"(sm|compute)_(\d+)(\d)([a-z]?)")


def lacking_kernels() -> list[str]:
    """A sentence for each visible NVIDIA GPU that this torch has no kernels for."""
    known = torch.cuda.get_arch_list()
    if torch.version.hip is not None or not known:
        return []
    lines = []
    for number in range(torch.cuda.device_count()):
        major, minor = torch.cuda.get_device_capability(number)
        if not any(_runs(name, major, minor) for name in known):
            lines.append(
                f"GPU {number} ({torch.cuda.get_device_name(number)}) is of sm_{major}{minor}, and "
                f"torch {torch.__version__} has kernels for {', '.join(known)} only: nothing will "
                "run on it. Install a torch that has them (for older GPUs: make setup "
                "TORCH=cu126), or say trainer.accelerator=cpu"
            )
    return lines


def _runs(name: str, major: int, minor: int) -> bool:
    """Whether kernels of this name run on a GPU of a compute capability.

    Machine code (`sm_86`) runs within its major version on its minor version and later ones, with a
    letter (`sm_90a`) on that very one; an intermediate one (`compute_90`) on all later GPUs.
    """
    found = _KERNELS.fullmatch(name)
    if found is None:
        return True
    kind, letter = found[1], found[4]
    made_for = (int(found[2]), int(found[3]))
    if letter:
        return made_for == (major, minor)
    if kind == "compute":
        return made_for <= (major, minor)
    return made_for[0] == major and made_for[1] <= minor
