"""Reads the transcripts of IEMOCAP (`dialog/transcriptions/<dialogue>.txt`)."""

import re
from pathlib import Path

from sermm.core.records import Problem
from sermm.corpora.iemocap.layout import UTTERANCE_ID

_LINE = re.compile(r"(?P<id>\S+)\s+\[[^\]]*\]:[ ]?(?P<text>.*)")
# The other actor's words, and turns that were heard but not segmented: no wav and no label.
_UNLABELLED = re.compile(r"[FM]:|Ses0[1-5][FM]_\w+_[FM]XX")


def read_transcription(path: Path) -> tuple[dict[str, str], list[Problem]]:
    """Transcripts by utterance id, as they stand (tags, tabs); of an id twice, the first."""
    text = path.read_text(encoding="utf-8", errors="replace")
    transcripts: dict[str, str] = {}
    problems: list[Problem] = []
    ignored: list[int] = []
    for number, line in enumerate(text.split("\n"), 1):
        match = _LINE.fullmatch(line.strip())
        if not (match and UTTERANCE_ID.fullmatch(match["id"])):
            if line.strip() and not _UNLABELLED.match(line.strip()):
                ignored.append(number)
        elif match["id"] in transcripts:
            what = f"{match['id']} stands here a second time: ignored"
            problems.append(Problem(f"{path}:{number}", what, "duplicate_id", kept=True))
        else:
            transcripts[match["id"]] = match["text"]
    if ignored:
        what = f"{len(ignored)} lines are no transcript, first line {ignored[0]}: ignored"
        problems.append(Problem(str(path), what, "ignored_lines", kept=True))
    return transcripts, problems
