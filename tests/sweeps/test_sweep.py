"""What a sweep says of its runs."""

from sermm.sweeps.sweep import Sweep


def test_what_explains_the_failure_of_every_fold_is_printed_once(capsys):
    sweep = Sweep()
    for fold in (1, 2):
        sweep.fail(f"m fold {fold}: too few talkers\n  talker  ang\nthese accept it")
    sweep.fail("m fold 3: elsewhere")
    said = capsys.readouterr().err
    assert said.count("these accept it") == 1
    assert "FAILED m fold 2: too few talkers\nFAILED m fold 3: elsewhere\n" in said
