"""What follows from the counts and times of `sermm bench fusion`.

Source: Bian 2024 states savings of a gate in place of CmGI for training and inference as a whole. A
fusion can save no more than its own share of the whole: `shares` measures that share, `savings`
what the gate really saves, and says whether the stated figure could be reached by any fusion at
all. The gate stands beside Gao's CmGI and beside the class that its public code calls CmGI. What
the term paper has measured itself comes along, as its own and not ours (`printed`).
"""

import statistics
from collections.abc import Mapping, Sequence

from sermm.bench.measures import Measurement
from sermm.bench.timing import Times, ratio
from sermm.core.figures import fixed

GATE, CMGI, RELEASED, ASR = "single_gate", "cmgi", "cmgi_released", "asr"
LOOP, CACHED, ONLY = "ASR in loop", "ASR cached", "fusion only"
ALONE = "by itself"
# Percent that Bian 2024 states to save against CmGI.
STATED = {"train": 43.0, "infer": 38.0}
# What the gate is set beside, and what rows call it.
REPLACED = {CMGI: "CmGI", RELEASED: RELEASED}
# Seconds that Bian 2024, Table 1, prints for CmGI and for its gate, the least and the most: of an
# epoch, and of the whole test set. What they were measured on is not said.
PRINTED = {
    "train": {CMGI: (874.27, 925.40), GATE: (272.39, 298.57)},
    "infer": {CMGI: (209.54, 209.54), GATE: (59.17, 59.17)},
}
_THEIRS = " (the paper's, not measured here)"
_OF = {"train": "an epoch", "infer": "the test set"}

# By what is done (train, infer), utterances of a batch, setting and system.
Table = Mapping[tuple[str, int, str, str], Times]


def shares(systems: Sequence[str], flops: Mapping[str, float], table: Table) -> list[Measurement]:
    """What part of the whole each fusion is, for one utterance: the most that a free one saves.

    Args:
        systems: by name.
        flops: as `Bench.flops` gives them.
        table: as `Bench.times` gives it.
    """
    rows = []
    for name in systems:
        fusion, whole = flops[f"{name}: fusion"], flops[f"{name}: whole"]
        for setting, asr in ((CACHED, 0.0), (LOOP, flops[ASR])):
            rows.append(_share(name, "FLOP", setting, fusion / (whole + asr)))
            parts = {kind: _part(table, kind, setting, name) for kind in STATED}
            rows += [_share(name, kind, setting, part) for kind, part in parts.items()]
    return rows


def _part(table: Table, kind: str, setting: str, name: str) -> float:
    """The fusion by itself, as a share of the whole system's time."""
    return ratio(table[kind, 1, ONLY, name].median, table[kind, 1, setting, name].median)


def _share(name: str, of: str, setting: str, share: float) -> Measurement:
    return measure(f"{name}: part of {of}, {setting}", 100 * share, "% of the whole")


def savings(table: Table) -> list[Measurement]:
    """What the gate saves of CmGI's time, what Bian 2024 states, and what follows.

    Args:
        table: as `Bench.times` gives it; what was not measured gives no saving.
    """
    rows = []
    for (kind, size, setting, name), other in table.items():
        if name in REPLACED and other.turns:
            gate = table[kind, size, setting, GATE]
            what = f"gate for {REPLACED[name]} saves, {size}: {kind}, {setting}"
            rows.append(_saved(what, gate, other))
    for kind, stated in STATED.items():
        rows.append(measure(f"gate for CmGI saves, as stated: {kind}", stated, "%"))
    rows += printed()
    for kind, stated in STATED.items():
        most = 100 * _part(table, kind, CACHED, CMGI)
        reach = "within" if most >= stated else "out of"
        so = f"% at most: {stated:g} % is {reach} reach of any fusion while the encoders run"
        rows.append(measure(f"no fusion for CmGI saves: {kind}", most, so))
    return rows


def printed() -> list[Measurement]:
    """The times that Bian 2024 prints, and the savings that follow from them.

    Where it prints a range, the least saving sets the slowest gate beside the fastest CmGI.
    """
    rows = []
    for kind, times in PRINTED.items():
        for name, (least, most) in times.items():
            to = f", up to {fixed(most, 2)} s" if most > least else ""
            rows.append(measure(f"paper's {name}: {_OF[kind]}", least, f"s{to}{_THEIRS}"))
        (gate_least, gate_most), (least, most) = times[GATE], times[CMGI]
        saved, at_most = (100 * (1 - one) for one in (gate_most / least, gate_least / most))
        to = f", up to {fixed(at_most, 1)} %" if at_most > saved else ""
        what = f"gate for CmGI saves, by the paper's times: {kind}"
        rows.append(measure(what, saved, f"%{to}{_THEIRS}"))
    return rows


def _saved(what: str, gate: Times, cmgi: Times) -> Measurement:
    """Turn by turn, as both are measured in the same turns: what slows one down slows the other."""
    pairs = zip(gate.turns, cmgi.turns, strict=True)
    saved = [100 * (1 - ratio(one, other)) for one, other in pairs]
    unit = f"% ({fixed(min(saved), 1)} to {fixed(max(saved), 1)} by turn)"
    return measure(what, statistics.median(saved), unit)


def latencies(alone: Mapping[float, tuple[Times, Times]]) -> list[Measurement]:
    """From the end of an utterance to its answer, and that as a share of its length.

    Args:
        alone: the recogniser and the gate by the seconds of the utterance.
    """
    rows = []
    for seconds, (asr, gate) in alone.items():
        for setting, times in ((CACHED, gate), (LOOP, gate.after(asr))):
            what = f"{GATE}, {seconds:g} s alone, {setting}"
            rows.append(measure(what, times.median, times.unit))
            rows.append(measure(f"{what}: RTF", times.median / seconds, "s a second of speech"))
    return rows


def measure(what: str, value: float, unit: str) -> Measurement:
    """A row of the case, without a limit."""
    return Measurement("fusion", what, value, unit)
