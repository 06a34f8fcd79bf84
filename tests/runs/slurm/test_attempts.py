from sermm.runs.slurm.attempts import MOST, count


def test_attempts_without_an_epoch_are_counted_until_there_is_one(tmp_path):
    assert [count(tmp_path, "job", "7_1", 0) for _ in range(3)] == [1, 2, MOST]
    assert count(tmp_path, "job", "7_1", 2) == 0
    assert [count(tmp_path, "job", "7_1", 2) for _ in range(2)] == [1, 2]


def test_another_job_of_slurm_counts_anew(tmp_path):
    count(tmp_path, "job", "7_1", 0)
    assert count(tmp_path, "job", "8_1", 0) == 1
    # It went on with a run that had epochs.
    assert count(tmp_path, "job", "9_1", 5) == 0


def test_a_damaged_count_begins_anew(tmp_path):
    (tmp_path / ".sweeps" / "attempts").mkdir(parents=True)
    (tmp_path / ".sweeps" / "attempts" / "job.json").write_text("{")
    assert count(tmp_path, "job", "7_1", 0) == 1
