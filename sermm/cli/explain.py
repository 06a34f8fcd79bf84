"""sermm explain RUN utterance=ID | FILE.wav [text="..."]: what a trained run looked at.

RUN is a run folder, a key, STUDY/KEY, or 'STUDY:MODEL KEY=VALUE ...', of a system with attention
or a gate. ID is an utterance of the run's
own corpus and fold; a file may be any, with text= for systems that read text; what is longer than
the run's trainer.max_seconds is cut, and the page says so. Writes attention and
gates as pictures beside the sound, a page with the audio, and all numbers into
RUN/explanations/<utterance>/: attention.png, gate-*.png, index.html, explanation.json,
attention.npz. These hold the voice and the words of a person, as the corpus does.

The figures under the names of Table 5 of Li 2025 are defined by sermm, not by the paper. Negative
words are those of the English VADER lexicon, or of lexicon=FILE (UTF-8, one word a line).

  sermm explain runs/first/0123456789abcdef utterance=Ses05F_impro01_F003
  sermm explain 0123456789abcdef call.wav text="I told you so!" format=json
  sermm explain 0123456789abcdef utterance=03a01Fa lexicon=negativ.txt to=pictures

Keys: utterance, text, lexicon, to, trust (packages of own code that the run may name),
format (table | json), runs_dir.
"""

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sermm.configuration.arguments import choice, parse, runs_folder
from sermm.core.errors import InputError
from sermm.core.figures import fixed

if TYPE_CHECKING:
    from sermm.engine.assembly.restore import Restored
    from sermm.explain.subject import Subject

USAGE = 'sermm explain RUN utterance=ID | FILE.wav [text="..."] [lexicon=FILE] [to=FOLDER]'
_KEYS = ("utterance", "text", "lexicon", "to", "trust", "runs_dir")


def run(arguments: Sequence[str]) -> int:
    """Explains; returns the exit status.

    Raises:
        InputError: wrong use, no such utterance, or a system with nothing to show.
    """
    _refuse_dashes(arguments)
    known: dict[str, str | None] = {**dict.fromkeys(_KEYS), "format": "table"}
    words, own = parse(arguments, known, USAGE)
    output = choice(own["format"], "format", ("table", "json"))
    if len(words) not in (1, 2) or (len(words) == 2) == (own["utterance"] is not None):
        raise InputError(f"give a run, and utterance=ID or one file. Usage: {USAGE}")
    if own["utterance"] is not None and own["text"] is not None:
        raise InputError("text= belongs to a file; the corpus has the text of its utterances")

    from sermm.engine.assembly.restore import restore
    from sermm.explain.explanation import explain
    from sermm.explain.page import write
    from sermm.explain.words import negative_words
    from sermm.runs.find import find_run

    negative = negative_words(Path(own["lexicon"]) if own["lexicon"] else None)
    restored = restore(find_run(words[0], runs_folder(own["runs_dir"])), own["trust"])
    subject = _subject(restored, words[1:], own)
    explained = explain(restored, subject, negative)
    default = restored.folder.path / "explanations" / subject.folder
    folder = Path(own["to"]) if own["to"] else default
    record = {**write(explained, folder), "folder": str(folder)}
    if output == "json":
        print(json.dumps(record, indent=2, ensure_ascii=False, allow_nan=False))
    else:
        print(text(record))
    return 0


def text(record: dict[str, Any]) -> str:
    """The record for people."""
    part = f"{record['part']} part" if record["part"] else "a file"
    label = f"label {record['label']}, " if record["label"] else ""
    shares = "  ".join(f"{name} {fixed(p, 3)}" for name, p in record["probabilities"].items())
    lines = [
        f"{record['model']} ({record['run']}) on {record['data']}, {record['protocol']} fold "
        f"{record['fold']}: {record['utterance']} ({part})",
        f"{label}predicted {record['predicted']}:  {shares}",
        *(f"note: {remark}" for remark in record["remarks"]),
    ]
    for found in record["maps"]:
        lines += _map(found, record["figures"])
    for gate in record["gates"]:
        mean = sum(gate["mean"]) / len(gate["mean"])
        lines.append(
            f"\ngate of {gate['stream']['stream']}: mean {fixed(mean, 2)} (1 = its own states)"
        )
    return "\n".join([*lines, f"\nwritten to {record['folder']}"])


def _map(found: dict[str, Any], notice: str) -> list[str]:
    query, key = found["query"], found["key"]
    lines = [
        f"\n{query['stream']} looks at {key['stream']}: {query['positions']} x {key['positions']}"
    ]
    if not found["figures"]:
        return lines
    for figure in found["figures"]:
        value = "   –" if figure["value"] is None else fixed(figure["value"], 2)
        lines.append(f"  {figure['name']:<22} {value}  {figure['said']}")
    printed = ", ".join(fixed(figure["paper"], 2) for figure in found["figures"])
    lines.append(f"  ({notice}; Li 2025 prints {printed} for an utterance of its own)")
    tokens = zip(key["tokens"], found["relevance"], strict=True)
    relevances = [f"{token} {'–' if r is None else fixed(r, 2)}" for token, r in tokens]
    return [*lines, f"  relevance ({notice}): {'  '.join(relevances)}"]


def _subject(restored: "Restored", files: Sequence[str], own: dict[str, str | None]) -> "Subject":
    from sermm.core.records import LEVELS
    from sermm.explain.subject import of_corpus, of_file

    if own["utterance"] is not None:
        return of_corpus(restored, own["utterance"])
    if restored.system.text_encoder is not None and own["text"] is None:
        print("no text= given: the system sees an empty transcript", file=sys.stderr)
    if restored.system.needs.intersection(LEVELS):
        print("nothing aligns the file: it is taken as one unit of speech", file=sys.stderr)
    return of_file(restored, Path(files[0]), own["text"])


def _refuse_dashes(arguments: Sequence[str]) -> None:
    for argument in arguments:
        name = argument.lstrip("-").split("=", 1)[0]
        if argument.startswith("--") and name in (*_KEYS, "format"):
            raise InputError(f"write {name}=... without dashes in place of {argument}, as {USAGE}")
