import copy
import pickle

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sermm.core.errors import InputError
from sermm.data.batching import BatchPlan

LENGTHS = np.random.default_rng(3).uniform(0.5, 12.0, 400).tolist()


def epoch_of(plan, epoch):
    plan.set_epoch(epoch)
    return list(plan)


def cost(batch, lengths):
    return len(batch) * max(lengths[i] for i in batch)


def test_evaluation_is_sorted_longest_first():
    plan = BatchPlan([1.0, 5.0, 3.0, 2.0, 5.0], size=2)
    assert list(plan) == [[1, 4], [2, 3], [0]]
    assert epoch_of(plan, 7) == [[1, 4], [2, 3], [0]]
    assert len(plan) == 3


def test_evaluation_under_a_budget():
    # 3 x 5 = 15 fits; a fourth of 5 s would make 20; then 3 x 2 = 6 and so on.
    plan = BatchPlan([5.0, 5.0, 5.0, 5.0, 2.0, 2.0, 1.0], seconds=15.0)
    assert list(plan) == [[0, 1, 2], [3, 4, 5], [6]]


def test_one_longer_than_the_budget_is_a_batch_of_its_own():
    plan = BatchPlan([1.0, 99.0, 1.0], seconds=10.0)
    assert list(plan) == [[1], [0, 2]]
    assert [1] in list(BatchPlan([1.0, 99.0, 1.0], seconds=10.0, seed=0))


@pytest.mark.parametrize("limit", [{"size": 16}, {"seconds": 60.0}])
def test_training_follows_from_seed_and_epoch(limit):
    plan, twin = BatchPlan(LENGTHS, seed=1, **limit), BatchPlan(LENGTHS, seed=1, **limit)
    epochs = [epoch_of(plan, e) for e in range(3)]
    assert [epoch_of(twin, e) for e in (2, 1, 0)] == epochs[::-1]
    assert epochs[0] != epochs[1]
    assert {frozenset(b) for b in epochs[0]} != {frozenset(b) for b in epochs[1]}
    assert epoch_of(BatchPlan(LENGTHS, seed=2, **limit), 0) != epochs[0]


def test_a_batch_knows_its_epoch_also_in_another_process():
    plan = BatchPlan([1.0, 2.0, 3.0], size=2, seed=0)
    for epoch in (0, 5):
        for batch in pickle.loads(pickle.dumps(epoch_of(plan, epoch))):
            assert batch.epoch == epoch
            assert set(batch) <= {0, 1, 2}


@pytest.mark.parametrize("limit", [{"size": 16}, {"seconds": 60.0}])
def test_training_sees_everything_once_in_equally_many_batches(limit):
    plan = BatchPlan(LENGTHS, seed=1, **limit)
    for epoch in range(40):
        batches = epoch_of(plan, epoch)
        assert len(batches) == len(plan)
        assert sorted(i for batch in batches for i in batch) == list(range(400))
        assert all(batches)
        if "size" in limit:
            assert max(map(len, batches)) == 16
        else:
            assert max(cost(batch, LENGTHS) for batch in batches) <= 60
    assert "seconds" not in limit or len(plan) < 1.2 * len(BatchPlan(LENGTHS, seconds=60.0))


def test_lengths_in_a_batch_are_alike():
    batches = epoch_of(BatchPlan(LENGTHS, seed=1, size=16), 0)
    padded = sum(cost(batch, LENGTHS) for batch in batches)
    rng = np.random.default_rng(0)
    shuffled = [batch.tolist() for batch in np.array_split(rng.permutation(400), 25)]
    assert padded < 1.25 * sum(LENGTHS)
    assert sum(cost(batch, LENGTHS) for batch in shuffled) > 1.6 * sum(LENGTHS)


def test_random_batches_are_of_any_lengths_and_follow_from_seed_and_epoch():
    plan = BatchPlan(LENGTHS, seed=1, size=16, batching="random")
    epochs = [epoch_of(plan, e) for e in range(3)]
    assert epochs == [epoch_of(copy.deepcopy(plan), e) for e in range(3)]
    assert len({tuple(map(tuple, batches)) for batches in epochs}) == 3
    for batches in epochs:
        assert sorted(i for batch in batches for i in batch) == list(range(400))
        assert [len(batch) for batch in batches] == [16] * 25
        # Of as many padded seconds as what is merely shuffled.
        assert sum(cost(batch, LENGTHS) for batch in batches) > 1.6 * sum(LENGTHS)
    assert epoch_of(BatchPlan(LENGTHS, seed=2, size=16, batching="random"), 0) != epochs[0]


def test_random_evaluation_is_in_the_order_of_the_data():
    plan = BatchPlan([1.0, 5.0, 3.0, 2.0, 5.0], size=2, batching="random")
    assert list(plan) == [[0, 1], [2, 3], [4]]


def test_batches_do_not_come_by_length():
    longest = [max(LENGTHS[i] for i in b) for b in BatchPlan(LENGTHS, seed=1, size=16)]
    assert longest != sorted(longest)
    assert longest != sorted(longest, reverse=True)


def test_a_small_corpus_has_other_batches_in_every_epoch():
    plan = BatchPlan(LENGTHS[:60], seed=1, size=16)
    sets = {frozenset(frozenset(b) for b in epoch_of(plan, e)) for e in range(10)}
    assert len(sets) == 10


@settings(max_examples=80, deadline=None)
@given(
    lengths=st.lists(st.floats(0.0, 30.0), min_size=1, max_size=40),
    limit=st.one_of(
        st.integers(1, 9).map(lambda n: {"size": n}),
        st.floats(0.5, 60.0).map(lambda s: {"seconds": s}),
    ),
    seed=st.one_of(st.none(), st.integers(0, 5)),
    world_size=st.integers(1, 5),
    epoch=st.integers(0, 30),
    batching=st.sampled_from(["similar", "random"]),
)
def test_shards_are_disjoint_cover_everything_and_are_equally_many(
    lengths, limit, seed, world_size, epoch, batching
):
    if len(lengths) < world_size or (batching == "random" and "seconds" in limit):
        return
    limit = {**limit, "batching": batching}
    shards = [
        BatchPlan(lengths, seed=seed, rank=rank, world_size=world_size, **limit)
        for rank in range(world_size)
    ]
    batches = [epoch_of(shard, epoch) for shard in shards]
    assert {len(shard) for shard in shards} == {len(b) for b in batches}
    assert len({len(b) for b in batches}) == 1
    assert all(batch for shard in batches for batch in shard)
    seen = sorted(i for shard in batches for batch in shard for i in batch)
    assert seen == list(range(len(lengths)))


def test_one_utterance_a_batch_and_an_odd_number_on_two_ranks_joins_the_shortest():
    lengths = [3.0, 1.0, 2.0, 5.0, 4.0]
    shards = [list(BatchPlan(lengths, size=1, rank=rank, world_size=2)) for rank in (0, 1)]
    assert shards == [[[3], [0]], [[4], [2, 1]]]


@pytest.mark.parametrize(
    ("limit", "message"),
    [
        ({}, "either batch_size or batch_seconds"),
        ({"size": 2, "seconds": 3.0}, "either batch_size or batch_seconds"),
        ({"size": 0}, "positive"),
        ({"seconds": 9.0, "batching": "random"}, "batching=random makes batches of a size"),
        ({"seconds": -1.0}, "positive"),
        ({"size": 2, "world_size": 4}, "3 utterances cannot be shared among 4"),
    ],
)
def test_wrong_use(limit, message):
    with pytest.raises(InputError, match=message):
        BatchPlan([1.0, 2.0, 3.0], **limit)


def test_nothing_to_batch():
    with pytest.raises(InputError, match="0 utterances"):
        BatchPlan([], size=4)
