"""The protocols of conf/ on a list with IEMOCAP's published counts (no text, no audio)."""

from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from hydra.utils import instantiate

from sermm.configuration.compose import compose, conf_dir
from sermm.core.records import Utterance

NAMES = sorted(path.stem for path in (conf_dir() / "protocol").glob("[!_]*.yaml"))

# by session: label counts, scripted among the four merged classes, scripted frustrated,
# four-class utterances of the female talker
LABELS = {
    "1": {"ang": 229, "hap": 135, "exc": 143, "sad": 194, "neu": 384, "fru": 280, "xxx": 400},
    "2": {"ang": 137, "hap": 117, "exc": 210, "sad": 197, "neu": 362, "fru": 325, "xxx": 400},
    "3": {"ang": 240, "hap": 135, "exc": 151, "sad": 305, "neu": 320, "fru": 382, "xxx": 400},
    "4": {"ang": 327, "hap": 65, "exc": 238, "sad": 143, "neu": 258, "fru": 481, "xxx": 400},
    "5": {"ang": 170, "hap": 143, "exc": 299, "sad": 245, "neu": 384, "fru": 381, "xxx": 400},
}
SCRIPTED = {"1": 564, "2": 493, "3": 524, "4": 497, "5": 510}
SCRIPTED_FRU = {"1": 176, "2": 185, "3": 167, "4": 176, "5": 174}
FEMALE = {"1": 528, "2": 481, "3": 522, "4": 528, "5": 590}


def _session(session):
    rng = np.random.Generator(np.random.PCG64(int(session)))
    labels = [label for label, n in LABELS[session].items() for _ in range(n)]
    four = [i for i, label in enumerate(labels) if label not in {"fru", "xxx"}]
    fru = [i for i, label in enumerate(labels) if label == "fru"]
    scripted = {int(i) for i in rng.permutation(four)[: SCRIPTED[session]]}
    scripted |= set(fru[: SCRIPTED_FRU[session]])
    female = {int(i) for i in rng.permutation(four)[: FEMALE[session]]} | set(fru[::2])
    for i, label in enumerate(labels):
        yield Utterance(
            id=f"Ses0{session}_{i:04d}",
            corpus="iemocap",
            path=Path("none.wav"),
            label=label,
            speaker=f"Ses0{session}{'F' if i in female else 'M'}",
            group=session,
            act="scripted" if i in scripted else "improvised",
        )


@pytest.fixture(scope="module")
def iemocap():
    return tuple(u for session in LABELS for u in _session(session))


def load(name):
    return instantiate(compose("data", [f"protocol={name}"]).protocol)


def sizes(folds):
    return [(len(f.train), len(f.val), len(f.test)) for f in folds]


@pytest.mark.parametrize("name", NAMES)
def test_every_protocol_bears_its_file_name_and_divides_iemocap(name, iemocap):
    protocol = load(name)
    assert protocol.name == name
    assert protocol.notes
    assert len(protocol.classes) == len(set(protocol.classes))
    selected = {u.id for u in protocol.select(iemocap)}
    for fold in protocol.folds(iemocap, seed=0):
        assert {*fold.train, *fold.val, *fold.test} <= selected
        assert len(fold.digest) == 64


TESTED = {
    "loso4": [1085, 1023, 1151, 1031, 1241],
    # Before those without alignments are left out, which takes the corpus's files.
    "loso4_align": [1085, 1023, 1151, 1031, 1241],
    "loso4_rand10": [1085, 1023, 1151, 1031, 1241],
    "loso4_noval": [1085, 1023, 1151, 1031, 1241],
    "loso4_noexc": [942, 813, 1000, 793, 942],
    "loso6": [1365, 1348, 1533, 1512, 1622],
    "speaker10": [528, 557, 481, 542, 522, 629, 528, 503, 590, 651],
    "script_disjoint4": [1085, 1023, 1151, 1031, 1241],
    "script_disjoint4_strict": [1085, 1023, 1151, 1031, 1241],
    "session2_fixed": [1023],
    "bian2024_actual": [678],
    "random6_leaky": [1476],
}


@pytest.mark.parametrize("name", TESTED)
def test_sizes_of_the_test_parts(name, iemocap):
    assert [len(f.test) for f in load(name).folds(iemocap, seed=0)] == TESTED[name]


def test_every_iemocap_protocol_is_counted():
    assert set(NAMES) - set(TESTED) == {"groups5", "speaker_out", "speaker_out_strict"}


def test_published_sizes(iemocap):
    assert sizes(load("session2_fixed").folds(iemocap, 0)) == [(3606, 902, 1023)]
    assert sizes(load("bian2024_actual").folds(iemocap, 0)) == [(2230, 558, 678)]
    assert sizes(load("random6_leaky").folds(iemocap, 0)) == [(5314, 590, 1476)]


def test_published_classes(iemocap):
    merged = {"ang": 1103, "hap": 1636, "neu": 1708, "sad": 1084}
    assert Counter(load("loso4").targets(iemocap).values()) == merged
    six = {"ang": 1103, "hap": 595, "exc": 1041, "neu": 1708, "sad": 1084, "fru": 1849}
    assert Counter(load("loso6").targets(iemocap).values()) == six
    bian = load("bian2024_actual")
    fold = bian.fold(iemocap, 1, 0)
    assert Counter(bian.targets(iemocap)[i] for i in fold.test)["ang"] > 185


def test_loso4_rotates(iemocap):
    folds = load("loso4").folds(iemocap, 0)
    assert [len(f.val) for f in folds] == [1023, 1151, 1031, 1241, 1085]
    assert {len(f.train) + len(f.val) + len(f.test) for f in folds} == {5531}


def test_validation_shares(iemocap):
    fold = load("loso4_rand10").fold(iemocap, 1, 0)
    assert (len(fold.train), len(fold.val)) == (4002, 444)  # a tenth of 4446
    assert load("loso4_noval").fold(iemocap, 1, 0).val == ()
    strata = Counter(
        load("loso4_noexc").targets(iemocap)[i] for i in load("loso4_noexc").fold(iemocap, 1, 0).val
    )
    # 5 % of 874, 460, 1324 and 890 training utterances
    assert strata == {"ang": 43, "hap": 23, "neu": 66, "sad": 44}


def test_seeds(iemocap):
    for name in ("session2_fixed", "bian2024_actual", "random6_leaky"):
        assert load(name).fold(iemocap, 1, 0) == load(name).fold(iemocap, 1, 7)
    assert load("loso4_rand10").fold(iemocap, 1, 0) != load("loso4_rand10").fold(iemocap, 1, 7)


def test_only_the_leaky_one_shares_talkers(iemocap):
    speaker = {u.id: u.speaker for u in iemocap}
    for name in NAMES:
        protocol = load(name)
        for fold in protocol.folds(iemocap, 0):
            shared = {speaker[i] for i in fold.train} & {speaker[i] for i in fold.test}
            assert bool(shared) == protocol.leaky, name


@pytest.fixture(scope="module")
def talks():
    """Three sessions, two dialogues each of both talkers; a script's lines recur in all."""
    return tuple(
        Utterance(
            id=f"{session}{act}{talker}{label}",
            corpus="talks",
            path=Path("none.wav"),
            label=label,
            speaker=f"{session}{talker}",
            group=session,
            dialogue=f"{session}{act}",
            act=act,
            transcript=f"{label} {talker}" if act == "scripted" else f"{session} {label} {talker}",
        )
        for session in "123"
        for act in ("improvised", "scripted")
        for talker in "FM"
        for label in ("ang", "hap", "neu", "sad")
    )


def shared(utterances, part, test, of):
    found = {of(u) for u in utterances if u.id in test} - {None}
    return sum(of(u) in found for u in utterances if u.id in part)


def test_the_lines_of_the_test_part_choose_no_epoch_under_the_strict_rule(talks):
    def line(u):
        return u.transcript if u.act == "scripted" else None

    for name, lines_in_validation in (("script_disjoint4", 8), ("script_disjoint4_strict", 0)):
        protocol = load(name)
        for fold in protocol.folds(talks, 0):
            assert shared(talks, fold.train, fold.test, line) == 0
            assert shared(talks, fold.val, fold.test, line) == lines_in_validation
            assert (len(fold.train), len(fold.val)) == (8, 8 + lines_in_validation)
    # Who reads the protocol's page learns of it.
    assert "script_disjoint4_strict" in load("script_disjoint4").notes


def test_dialogues_of_the_test_part_choose_no_epoch_under_the_strict_rule(talks):
    def dialogue(u):
        return u.dialogue

    loose, strict = load("speaker_out"), load("speaker_out_strict")
    # Who speaks with the tested talker validates where he comes next.
    vals = [shared(talks, f.val, f.test, dialogue) for f in loose.folds(talks, 0)]
    assert vals == [8, 0, 8, 0, 8, 0]
    assert "speaker_out_strict" in loose.notes
    speaker = {u.id: u.speaker for u in talks}
    chosen = []
    for fold in strict.folds(talks, 0):
        assert shared(talks, (*fold.train, *fold.val), fold.test, dialogue) == 0
        assert (len(fold.train), len(fold.val), len(fold.test)) == (24, 8, 8)
        chosen.append({speaker[i] for i in fold.val})
    assert chosen == [{"2F"}, {"2F"}, {"3F"}, {"3F"}, {"1F"}, {"1F"}]
