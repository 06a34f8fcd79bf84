"""The licensed corpus itself, where there is a copy."""

import os

import pytest

from sermm.corpora.iemocap.reader import Iemocap

pytestmark = [
    pytest.mark.corpus,
    pytest.mark.skipif("SERMM_IEMOCAP" not in os.environ, reason="SERMM_IEMOCAP not set"),
]


def test_a_whole_copy_reaches_the_golden_counts():
    reading = Iemocap(os.environ["SERMM_IEMOCAP"]).read()
    assert len(reading.utterances) == 10_039
