"""A made-up tree of the size of the release: 10,039 turns that reach every golden count."""

from collections import defaultdict

import pytest

from sermm.core.errors import InputError
from sermm.core.records import Attributes, Vote
from sermm.corpora.iemocap.layout import (
    Turn,
    dialogue_of,
    evaluation_path,
    evaluation_text,
    sentence_path,
    transcription_line,
    transcription_path,
)
from sermm.corpora.iemocap.reader import Iemocap

# Published by session: turns, then ang hap exc sad neu fru, then scripted turns of the 4 classes,
# scripted turns of the 6 labels, 4-class turns of the actress, scripted turns, dialogues.
SESSIONS = {
    1: (1819, (229, 135, 143, 194, 384, 280), 564, 740, 528, 1060, 28),
    2: (1811, (137, 117, 210, 197, 362, 325), 493, 678, 481, 1023, 30),
    3: (2136, (240, 135, 151, 305, 320, 382), 524, 691, 522, 1092, 32),
    4: (2103, (327, 65, 238, 143, 258, 481), 497, 673, 528, 1043, 30),
    5: (2170, (170, 143, 299, 245, 384, 381), 510, 684, 590, 1037, 31),
}
OTHERS = {"fea": 40, "sur": 107, "dis": 2, "oth": 3, "xxx": 2507}


def cells(session, others):
    """(label, scripted, talker) of every turn of a session."""
    total, six, scripted_four, scripted_six, actress_four, scripted, _ = SESSIONS[session]
    four = [
        c for c, n in zip(("ang", "hap", "exc", "sad", "neu"), six, strict=False) for _ in range(n)
    ]
    for i, label in enumerate(four):
        yield label, i < scripted_four, "F" if i >= len(four) - actress_four else "M"
    for i in range(six[5]):
        yield "fru", i < scripted_six - scripted_four, "FM"[i % 2]
    for i in range(total - sum(six)):
        yield next(others), i < scripted - scripted_six, "FM"[i % 2]


def ids(session):
    """Names of 16 improvised and the session's number of scripted dialogues."""
    marked = [(m, i) for i in range(1, 9) for m in "FM"]
    improvised = [f"Ses0{session}{m}_impro{i:02d}" for m, i in marked]
    scripted = [f"Ses0{session}{m}_script{1 + i // 3:02d}_{1 + i % 3}" for m, i in marked]
    return improvised, scripted[: SESSIONS[session][6] - 16]


def turns_of(session, others):
    improvised, scripted = ids(session)
    numbers = defaultdict(int)
    for i, (label, is_scripted, talker) in enumerate(cells(session, others)):
        names = scripted if is_scripted else improvised
        name = f"{names[i % len(names)]}_{talker}"
        start_s = 5.0 * numbers[name]
        votes = tuple(Vote(f"E{rater}", ("Neutral state",)) for rater in (2, 3, 4))
        given = tuple((f"E{rater}", Attributes(3.0, 2.0, 4.0)) for rater in (3, 4))
        means = Attributes(3.0, 2.5, 3.5)
        identity = f"{name}{numbers[name]:03d}"
        yield Turn(identity, start_s, start_s + 4.0, label, means, votes, given)
        numbers[name] += 1


def write(path, text):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    root = tmp_path_factory.mktemp("full") / "IEMOCAP_full_release"
    others = iter([label for label, n in OTHERS.items() for _ in range(n)])
    dialogues = defaultdict(list)
    for session in SESSIONS:
        for turn in turns_of(session, others):
            dialogues[dialogue_of(turn.id)].append(turn)
    for name, turns in dialogues.items():
        write(evaluation_path(root, name), evaluation_text(turns))
        lines = (transcription_line(t.id, t.start_s, t.end_s, "Some words.") for t in turns)
        write(transcription_path(root, name), "".join(lines))
        sentence_path(root, turns[0].id).parent.mkdir(parents=True)
        for turn in turns:
            sentence_path(root, turn.id).touch()
    return root


def test_the_self_check_passes(root):
    reading = Iemocap(root).read()
    assert reading.problems == ()
    assert len(reading.utterances) == 10039


def test_the_self_check_notices_one_turn_less(root):
    lost = sentence_path(root, "Ses03F_impro01_M000")
    lost.unlink()
    with pytest.raises(InputError, match="missing_wav 1: Ses03F_impro01_M000"):
        Iemocap(root).read()
    assert len(Iemocap(root, partial=True).read().utterances) == 10038
    lost.touch()
