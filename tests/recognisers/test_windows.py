import torch

from sermm.recognisers.windows import windows


def test_short_clips_stay_whole():
    assert [len(piece) for piece in windows(torch.ones(16000), 16000)] == [16000]
    assert [len(piece) for piece in windows(torch.ones(0), 16000)] == [0]


def test_cuts_lie_in_the_pause_and_nothing_is_lost():
    clip = torch.sin(torch.arange(40000.0))
    # the last fifth of the first window: 12800..16000; the pause starts where steps of 10 ms do
    clip[12800 + 160 * 5 : 12800 + 160 * 5 + 1600] = 0.0
    pieces = windows(clip, 16000)
    assert len(pieces[0]) == 12800 + 800 + 800
    assert all(12800 <= len(piece) <= 16000 for piece in pieces[:-1])
    assert len(pieces[-1]) <= 16000
    assert torch.equal(torch.cat(pieces), clip)


def test_a_constant_clip_is_cut_all_the_same():
    pieces = windows(torch.ones(100_000), 1000)
    assert sum(len(piece) for piece in pieces) == 100_000
    assert all(0 < len(piece) <= 1000 for piece in pieces)
