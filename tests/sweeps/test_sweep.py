"""What a sweep says of its runs."""

from sermm.sweeps.sweep import Sweep, summary


def test_what_explains_the_failure_of_every_fold_is_printed_once(capsys):
    sweep = Sweep()
    for fold in (1, 2):
        sweep.fail(f"m fold {fold}: too few talkers\n  talker  ang\nthese accept it")
    sweep.fail("m fold 3: elsewhere")
    said = capsys.readouterr().err
    assert said.count("these accept it") == 1
    assert "FAILED m fold 2: too few talkers\nFAILED m fold 3: elsewhere\n" in said


def test_the_line_of_a_trial_shows_validation(a_result):
    scores = {"val/ua": 0.5, "val/wa": 0.4}
    said = summary(a_result(key="k", metrics=scores, withheld=True))
    assert said == "validation UA 0.500, WA 0.400; epoch 3 of 8, 14 s, k"
    both = {**scores, "test/ua": 0.25, "test/wa": 0.3}
    assert summary(a_result(metrics=both)).startswith("test UA 0.250, WA 0.300; ")
