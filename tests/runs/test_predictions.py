import csv
from pathlib import Path

import numpy as np

from sermm.core.digest import digest
from sermm.core.records import Utterance
from sermm.runs.predictions import Prediction, write_predictions


def test_the_digest_of_a_transcript_is_that_of_its_composed_form(tmp_path):
    texts = {"a": "für", "b": "fu\u0308r", "c": None}
    some = {i: Utterance(i, "x", Path("x"), "ang", "s", transcript=t) for i, t in texts.items()}
    predictions = [Prediction(i, np.array([1.0, 0.0])) for i in some]
    of_all = [dict.fromkeys(some, value) for value in ("test", "ang")]
    write_predictions(tmp_path, predictions, of_all[0], some, of_all[1], ["ang", "sad"], 1)
    with (tmp_path / "predictions.csv").open(encoding="utf-8") as file:
        digests = [row["transcript_digest"] for row in csv.DictReader(file)]
    assert digests == [digest("für")[:16]] * 2 + [""]
