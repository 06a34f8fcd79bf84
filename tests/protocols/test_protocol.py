from dataclasses import replace
from pathlib import Path

import pytest

from sermm.core.errors import InputError
from sermm.core.records import Utterance
from sermm.core.seeding import generator
from sermm.protocols.folds import (
    FixedTestGroup,
    LeaveOneGroupOut,
    LeaveOneTalkerOut,
    LineDisjoint,
    RandomTest,
    TalkerGroups,
    draw,
    natural,
    part_size,
)
from sermm.protocols.protocol import Protocol
from sermm.protocols.validation import NextFold, NextGroup, RandomShare, StratifiedShare

LABELS = {"ang": "ang", "hap": "hap", "exc": "hap"}


def utterance(uid, label="ang", speaker="A", group=None, **rest):
    return Utterance(uid, "small", Path(f"{uid}.wav"), label, speaker, group, **rest)


def sessions(n_sessions=4, n=4):
    """Every session has talkers F and M, each n utterances, ang and hap in turn."""
    return tuple(
        utterance(f"s{g}{t}{i:02d}", ("ang", "hap")[i % 2], f"s{g}{t}", str(g))
        for g in range(1, n_sessions + 1)
        for t in "FM"
        for i in range(n)
    )


def protocol(fold_rule, validation_rule=None, name="small", **rest):
    return Protocol(name, LABELS, ("ang", "hap"), fold_rule, validation_rule, **rest)


def groups(utterances, ids):
    return {u.group for u in utterances if u.id in set(ids)}


def talkers(utterances, ids):
    return {u.speaker for u in utterances if u.id in set(ids)}


def test_selection_maps_labels_and_leaves_out_the_rest():
    some = (
        utterance("a", "ang"),
        utterance("b", "exc"),
        utterance("c", "xxx"),
        utterance("d", None),
    )
    p = protocol(LeaveOneTalkerOut())
    assert [u.id for u in p.select(some)] == ["a", "b"]
    assert p.targets(some) == {"a": "ang", "b": "hap"}


def test_selection_by_act():
    some = (
        utterance("a", act="scripted"),
        utterance("b", act="improvised"),
        utterance("c"),
    )
    assert [u.id for u in protocol(LeaveOneTalkerOut(), acts=["scripted"]).select(some)] == ["a"]


def test_nothing_selected_names_the_labels_there():
    with pytest.raises(InputError, match=r"labels there: joy; data\.labels="):
        protocol(LeaveOneTalkerOut()).select([utterance("a", "joy")])


def test_rotation_tests_i_and_validates_on_the_next():
    some = sessions(4)
    folds = protocol(LeaveOneGroupOut(), NextFold()).folds(some, seed=0)
    assert [groups(some, f.test) for f in folds] == [{"1"}, {"2"}, {"3"}, {"4"}]
    assert [groups(some, f.val) for f in folds] == [{"2"}, {"3"}, {"4"}, {"1"}]
    assert [len(f.train) for f in folds] == [16] * 4


def test_groups_sort_by_number():
    assert sorted(["10", "9", "b", "a", "01"], key=natural) == ["01", "9", "10", "a", "b"]
    some = tuple(
        utterance(f"{g}-{label}", label, f"t{g}", g)
        for g in ("10", "9", "1")
        for label in ("ang", "hap")
    )
    folds = protocol(LeaveOneGroupOut()).folds(some, 0)
    assert [groups(some, f.test) for f in folds] == [{"1"}, {"9"}, {"10"}]


def test_a_missing_session_is_stepped_over():
    some = tuple(u for u in sessions(5) if u.group != "3")
    folds = protocol(LeaveOneGroupOut(), NextFold()).folds(some, 0)
    assert [groups(some, f.test) for f in folds] == [{"1"}, {"2"}, {"4"}, {"5"}]
    assert groups(some, folds[1].val) == {"4"}


def test_leave_one_talker_out_validates_on_both_talkers_of_the_next_session():
    some = sessions(3)
    folds = protocol(LeaveOneTalkerOut(), NextGroup()).folds(some, 0)
    assert len(folds) == 6
    assert talkers(some, folds[5].test) == {"s3M"}
    assert talkers(some, folds[5].val) == {"s1F", "s1M"}
    assert talkers(some, folds[5].train) == {"s2F", "s2M", "s3F"}


@pytest.mark.parametrize(("n", "sizes"), [(10, [2] * 5), (24, [5, 5, 5, 5, 4]), (5, [1] * 5)])
def test_talkers_are_dealt_in_consecutive_runs(n, sizes):
    some = [utterance(f"u{i}", speaker=f"{i:02d}") for i in range(n)]
    blocks = TalkerGroups(5).blocks(some)
    assert [len(block) for block in blocks] == sizes
    assert [u.speaker for block in blocks for u in block] == [f"{i:02d}" for i in range(n)]


def test_too_few_talkers_for_the_groups():
    with pytest.raises(InputError, match="at least 5 talkers, but there are 4"):
        TalkerGroups(5).blocks([utterance(str(i), speaker=str(i)) for i in range(4)])


def test_parts_are_sized_exactly():
    assert part_size(30, 0.1) == 3  # 0.1 * 3 * 10 would be 3.0000000000000004 in floats
    assert part_size(100, 0.29) == 29  # 28.999999999999996 in floats
    assert part_size(4508, 0.2) == 901
    assert part_size(4508, 0.2, "up") == 902
    assert part_size(2788, 0.2, "up") == 558


def test_a_draw_does_not_depend_on_order_and_is_the_same_for_ever():
    ids = [f"u{i}" for i in range(10)]
    first = draw(ids, 4, generator(42, "small", 1))
    assert first == draw(reversed(ids), 4, generator(42, "small", 1))
    assert first == {"u1", "u3", "u5", "u7"}
    assert first != draw(ids, 4, generator(43, "small", 1))


def test_random_validation_changes_with_seed_and_fold_unless_fixed():
    some = sessions(3, n=20)
    drawn = protocol(LeaveOneGroupOut(), RandomShare(0.1))
    fold = drawn.fold(some, 1, seed=0)
    assert (len(fold.val), len(fold.train), len(fold.test)) == (8, 72, 40)
    assert groups(some, fold.val) == {"2", "3"}
    assert fold.val == drawn.fold(tuple(reversed(some)), 1, seed=0).val
    assert fold.val != drawn.fold(some, 1, seed=1).val
    fixed = protocol(LeaveOneGroupOut(), RandomShare(0.1), fixed_seed=42)
    assert fixed.fold(some, 1, seed=0) == fixed.fold(some, 1, seed=1)
    assert len(protocol(LeaveOneGroupOut(), RandomShare(0.11, "up")).fold(some, 1, 0).val) == 9


def test_the_stratified_share_is_taken_from_each_class():
    some = tuple(
        utterance(f"{g}{label}{i:02d}", label, f"t{g}", g)
        for g in "12"
        for label, n in (("ang", 40), ("hap", 19), ("exc", 20))
        for i in range(n)
    )
    p = protocol(LeaveOneGroupOut(), StratifiedShare(0.05))
    fold = p.fold(some, 1, 0)
    targets = p.targets(some)
    assert sorted(targets[i] for i in fold.val) == ["ang", "ang", "hap"]  # 2.0 and 1.95


def test_one_fixed_test_group():
    some = sessions(3)
    p = protocol(FixedTestGroup("2"), RandomShare(0.25))
    assert p.n_folds(some) == 1
    fold = p.fold(some, 1, 0)
    assert groups(some, fold.test) == {"2"}
    assert (len(fold.train), len(fold.val)) == (12, 4)
    with pytest.raises(InputError, match=r"test group of this protocol is 9, but .* 1, 2, 3"):
        protocol(FixedTestGroup("9")).fold(some, 1, 0)


def test_a_random_split_shares_talkers_and_must_say_so():
    some = sessions(2, n=10)
    p = protocol(RandomTest(0.2), RandomShare(0.1), "small_leaky", leaky=True)
    fold = p.fold(some, 1, 0)
    assert (len(fold.train), len(fold.val), len(fold.test)) == (29, 3, 8)
    with pytest.raises(InputError, match=r"talkers .* are in both train and test"):
        protocol(RandomTest(0.2)).fold(some, 1, 0)
    with pytest.raises(InputError, match="if and only if its name ends in _leaky"):
        protocol(RandomTest(0.2), leaky=True)


def test_lines_of_the_test_fold_leave_training_but_not_validation():
    line = {"transcript": "Oh, [LAUGHTER] my God!"}
    same = {"transcript": "oh my god"}
    tag = {"transcript": "[LAUGHTER]"}
    base = [
        utterance(f"{g}{label}", label, f"t{g}", g, act="scripted", transcript=f"own {g} {label}")
        for g in "123"
        for label in ("ang", "hap")
    ]
    extra = [
        utterance("1line", speaker="t1", group="1", act="scripted", **line),
        utterance("1tag", speaker="t1", group="1", act="scripted", **tag),
        utterance("2line", speaker="t2", group="2", act="scripted", **same),
        utterance("3line", speaker="t3", group="3", act="scripted", **same),
        utterance("3free", speaker="t3", group="3", act="improvised", **same),
        utterance("3tag", speaker="t3", group="3", act="scripted", **tag),
    ]
    fold = protocol(LineDisjoint(LeaveOneGroupOut()), NextFold()).fold([*base, *extra], 1, 0)
    assert fold.test == ("1ang", "1hap", "1line", "1tag")
    assert fold.val == ("2ang", "2hap", "2line")
    assert fold.train == ("3ang", "3free", "3hap", "3tag")


@pytest.mark.parametrize("number", [0, -1, 6])
def test_no_such_fold(number):
    with pytest.raises(InputError, match=rf"fold {number} of 5: .* choose fold=1\.\.5"):
        protocol(LeaveOneGroupOut()).fold(sessions(5), number, 0)


def test_a_class_absent_from_a_fold_is_refused():
    some = tuple(u for u in sessions(3) if u.group != "2" or u.label != "hap")
    p = protocol(LeaveOneGroupOut(), NextFold())
    assert p.fold(some, 1, 0).number == 1
    with pytest.raises(InputError, match="fold 2: no test utterance of class hap"):
        p.fold(some, 2, 0)


def test_a_class_absent_from_a_test_part_may_be_allowed():
    some = tuple(u for u in sessions(4) if u.group != "2" or u.label != "hap")
    allowed = protocol(LeaveOneGroupOut(), NextFold(), absent_classes="allow")
    assert [len(fold.test) for fold in allowed.folds(some, 0)] == [8, 4, 8, 8]
    # What training lacks nothing can learn.
    untaught = tuple(u for u in some if u.group not in {"3", "4"} or u.label != "hap")
    with pytest.raises(InputError, match="fold 1: no train utterance of class hap"):
        allowed.fold(untaught, 1, 0)


def test_a_refused_part_says_whose_it_is():
    some = tuple(u for u in sessions(3) if u.group != "2" or u.label != "hap")
    with pytest.raises(InputError, match="class hap; it holds 4, of s2F, s2M: ang 4"):
        protocol(LeaveOneGroupOut(), NextFold()).fold(some, 2, 0)


def test_a_corpus_without_groups():
    with pytest.raises(InputError, match="this protocol divides by group"):
        protocol(LeaveOneGroupOut()).fold([replace(u, group=None) for u in sessions(3)], 1, 0)


def test_too_few_parts():
    with pytest.raises(InputError, match="at least two parts"):
        protocol(LeaveOneGroupOut()).fold(sessions(1), 1, 0)
    for rule in (NextFold(), NextGroup()):
        with pytest.raises(InputError, match="at least three parts"):
            protocol(LeaveOneGroupOut(), rule).fold(sessions(2), 1, 0)


def test_a_share_of_nothing():
    for rule in (RandomShare(0.1), StratifiedShare(0.1)):
        with pytest.raises(InputError, match="less than one utterance"):
            protocol(LeaveOneGroupOut(), rule).fold(sessions(2, n=2), 1, 0)


def labels_of(labels, classes):
    return Protocol("p", labels, classes, LeaveOneGroupOut()).labels


def test_labels_of_other_classes_are_left_out():
    assert labels_of(LABELS, ("ang", "joy")) == {"ang": "ang", "joy": "joy"}
    assert labels_of({"a": "hap", "b": "joy"}, ("hap", "sad")) == {"a": "hap", "sad": "sad"}


def test_a_class_that_no_label_maps_to_is_a_label_of_its_own_name():
    assert labels_of(LABELS, ("calm", "stressed")) == {"calm": "calm", "stressed": "stressed"}
    assert labels_of(LABELS, ("hap", "exc")) == {"hap": "hap", "exc": "exc"}


@pytest.mark.parametrize(
    "make", [lambda: RandomShare(1.5), lambda: StratifiedShare(0.0), lambda: TalkerGroups(1)]
)
def test_a_wrong_size_is_refused_when_the_rule_is_made(make):
    with pytest.raises(InputError, match="expected"):
        make()


def test_a_rule_without_an_order_has_no_next_fold():
    with pytest.raises(InputError, match="goes through all parts in turn"):
        protocol(FixedTestGroup("2"), NextFold()).fold(sessions(3), 1, 0)


def test_digests_are_the_same_on_every_machine():
    some = sessions(3, n=10)
    rotating = protocol(LeaveOneGroupOut(), NextFold()).fold(some, 1, 0)
    drawn = protocol(LeaveOneGroupOut(), RandomShare(0.1)).fold(some, 1, 0)
    assert rotating.digest == "0023371decf94e2fd05a349e18288e1afc807b7c9217cdfb68973c4efa991712"
    assert drawn.digest == "2ab94816d73a5ec89324c962034775c4f4de7c431054898123eee559e14a33b5"
