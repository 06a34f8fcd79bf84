"""What an error says, whoever has raised it."""

import pytest
from torch.utils.data import DataLoader, Dataset

from sermm.core.errors import InputError


class OtherError(InputError):
    """A kind of its own."""


class Refusing(Dataset):
    def __init__(self, kind):
        self.kind = kind

    def __len__(self):
        return 1

    def __getitem__(self, index):
        raise self.kind("a.csv: it is wrong;\nmend it")


@pytest.mark.parametrize("kind", [InputError, OtherError])
@pytest.mark.parametrize("workers", [0, 1])
def test_a_worker_of_a_data_loader_says_what_the_process_itself_would(kind, workers):
    with pytest.raises(kind) as refused:
        next(iter(DataLoader(Refusing(kind), num_workers=workers)))
    assert str(refused.value) == "a.csv: it is wrong;\nmend it"
