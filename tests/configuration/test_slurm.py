import pytest

from sermm.configuration.slurm import SubmitConfig, in_our_words
from sermm.core.errors import InputError


def asked(*words):
    return SubmitConfig.of(in_our_words(words))


@pytest.mark.parametrize(
    ("word", "key", "value"),
    [
        ("qos=low", "qos", "low"),
        ("+qos=low", "qos", "low"),
        ("constraint=a100|h100", "constraint", "a100|h100"),
        ("gres=gpu:a100:2", "gres", "gpu:a100:2"),
        ("mem=16G", "memory", "16G"),
        ("mem_gb=16", "memory", "16G"),
        ("cpus_per_task=8", "cpus", 8),
        ("cpus-per-task=8", "cpus", 8),
        ("gpus_per_node=a100:1", "gpus_per_node", "a100:1"),
        ("gpus_per_node=2", "gpus_per_node", "2"),
        ("timeout_min=90", "time", "01:30:00"),
        ("time=90", "time", "90"),
        ("mail_user=a@b.org", "mail_user", "a@b.org"),
        ("mail_type=END,FAIL", "mail_type", "END,FAIL"),
        ("nodelist=n[1-3],n7", "nodelist", "n[1-3],n7"),
        ("exclude=n1,n2", "exclude", "n1,n2"),
        ("reservation=class", "reservation", "class"),
        ("dependency=afterok:12:13,afterany:7", "dependency", "afterok:12:13,afterany:7"),
        ("name=mine", "job_name", "mine"),
        ("array_parallelism=4", "at_most", 4),
        ("signal_delay_s=60", "signal", "USR1@60"),
        ("time=null", "time", None),
    ],
)
def test_slurms_and_submitits_words_are_taken(word, key, value):
    assert getattr(asked(word), key) == value


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["time=8h"], "time=8h: expected minutes, H:MM:SS"),
        (["memory=lots"], "memory=lots: expected a number with K, M, G or T"),
        (["mail_type=ENDE"], "mail_type=ENDE: expected some of NONE, BEGIN"),
        (["gpus_per_node=a100"], "expected a number, or a type with one"),
        (["dependency=12"], "expected such as afterok:1234"),
        (["qos=low high"], "expected a word without spaces"),
        (["signal=B:USR1@60"], "expected no B:"),
        (["time=60", "timeout_min=60"], "time=60 and timeout_min=60 say the same"),
        (["gpus=1", "gres=gpu:1"], "gpus=1 and gres=gpu:1 ask for GPUs in two ways"),
        (["time=1"], "time=1 is no longer than the 120 s that signal=USR1@120"),
        (["time=2:00"], "no longer than the 120 s"),
        (["tasks_per_node=2"], "trainer.devices= and nodes= say how many"),
        (["mem_per_cpu=4G"], r"options=\['--mem-per-cpu=4G'\]"),
        (["timeout_min=long"], "timeout_min=long: expected a number"),
        (["options=[comment]"], "expected options of sbatch"),
        (["options=['--array=1-3']"], "the script has its own"),
    ],
)
def test_each_is_checked(words, said):
    with pytest.raises(InputError, match=said):
        asked(*words)


def test_a_time_that_yaml_took_for_a_number_is_refused():
    plain = {**asked().plain, "time": 28800}
    with pytest.raises(InputError, match="expected quotes around a time in YAML"):
        SubmitConfig.read(plain)


def test_words_of_a_run_stay_and_the_launchers_are_told_by_their_prefix():
    words = ["model=caf", "hydra.launcher.timeout_min=60", "qos=low", "trainer.max_epochs=1"]
    assert in_our_words(words, "hydra.launcher.") == [
        "model=caf",
        'hydra.launcher.time="01:00:00"',
        "qos=low",
        "trainer.max_epochs=1",
    ]


@pytest.mark.parametrize(
    ("words", "devices", "gpus"),
    [
        ([], 2, 2),
        (["gpus=0"], 1, 0),
        (["gpus_per_node=a100:4", "nodes=2"], 8, 8),
        (["gres=gpu:a100:2,tmp:4G", "nodes=2"], 4, 4),
        (["gres=tmp:4G"], 1, 1),
    ],
)
def test_gpus_of_a_task(words, devices, gpus):
    assert asked(*words).gpus_of_task(devices) == gpus
