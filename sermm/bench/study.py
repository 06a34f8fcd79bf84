"""What `sermm bench` measures of a study of 10,000 runs: `sermm status` and `sermm report`.

Forty systems, five folds, fifty seeds: more than anybody trains, so that nothing in reading a study
may be quadratic, nor hold what it does not need. See `sermm.bench.study_runs` for the runs.
"""

import subprocess
import sys
import time
from pathlib import Path

from sermm.bench.measures import Measurement, scratch
from sermm.bench.study_runs import write_study
from sermm.bench.timing import ratio

_SYSTEMS = 40
# Random seeds that make 1,000 and 10,000 runs of the systems over five folds.
_FEWER, _MORE = 5, 50


def study_case() -> list[Measurement]:
    """Fresh processes over made-up runs; their memory, too, against a tenth of the runs.

    `status` keeps a record a run and no more. `report` must hold the counted test predictions of
    all runs of a table, to resample dialogues over all folds: some 25 kB a run. Ten times the runs
    must not cost ten times the memory, and must fit a laptop.
    """
    (few_status, few_report), (status, report) = _measured(_FEWER), _measured(_MORE)
    return [
        Measurement("study", "status of 10,000 runs", status[0], "s", 2.0),
        Measurement("study", "status: of 1,000 runs", few_status[0], "s"),
        Measurement("study", "status: peak with 10,000 runs", status[1], "MB", 100.0),
        Measurement(
            "study", "status: peak to that with 1,000", ratio(status[1], few_status[1]), "x"
        ),
        Measurement("study", "report of 10,000 runs", report[0], "s", 60.0),
        Measurement("study", "report: of 1,000 runs", few_report[0], "s"),
        Measurement("study", "report: peak with 10,000 runs", report[1], "MB", 600.0),
        Measurement(
            "study", "report: peak to that with 1,000", ratio(report[1], few_report[1]), "x", 3.0
        ),
    ]


def _measured(seeds: int) -> list[tuple[float, float]]:
    """Seconds and peak MB of both verbs, the better of three and of one.

    Args:
        seeds: of each system and fold; each makes 200 runs.
    """
    with scratch() as root:
        study = root / "study"
        write_study(study, _SYSTEMS, seeds)
        return [min(_once("status", study) for _ in range(3)), _once("report", study)]


def _once(verb: str, study: Path) -> tuple[float, float]:
    """Seconds and peak MB of a verb in a process of its own, its start included."""
    script = (
        "import sys; from sermm.cli.main import main; from sermm.core.memory import peak_bytes\n"
        "status = main(sys.argv[1:]); print(peak_bytes()); sys.exit(status)"
    )
    command = [sys.executable, "-c", script, verb, str(study)]
    start_s = time.perf_counter()
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    return time.perf_counter() - start_s, int(done.stdout.split()[-1]) / 1e6
