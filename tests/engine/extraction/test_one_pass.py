"""Reading ahead of the encoder, without deadlock."""

from concurrent.futures import ThreadPoolExecutor

from sermm.engine.extraction.one_pass import _ahead
from sermm.engine.extraction.shared import Mine


def test_one_batch_is_read_ahead_and_an_empty_claim_calls_it_in():
    events = []

    def claims():
        for name in ("a", "b"):
            events.append(f"claim {name}")
            yield Mine([name], [])
        yield None
        events.append("wait for others")
        yield Mine(["c"], [])

    def read(mine):
        return None, {mine.ids[0]: "read"}

    with ThreadPoolExecutor(1) as loader:
        for mine, (_, failures) in _ahead(loader, claims(), read):
            assert list(failures) == mine.ids
            events.append(f"compute {mine.ids[0]}")
    assert events == [
        "claim a",
        "claim b",
        "compute a",
        "compute b",
        "wait for others",
        "compute c",
    ]
