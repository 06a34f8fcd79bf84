"""sermm transcribe [key=value ...]: write down what is said, by machine, and score it.

Every recording that the protocol selects is recognised once, whatever corpus it is in, and kept in
`cache_dir/transcripts/<name>/`: a second call recognises what is missing, one that was interrupted
goes on. Train with the texts by text.source=asr:<name>. Prints word error rates against the human
transcripts by act, class, gender and talker, the languages that were detected, and the characters
that the recogniser can never write.

  sermm transcribe data=iemocap data.root=/corpora/IEMOCAP_full_release
  sermm transcribe data=iemocap recogniser=whisper recogniser.id=openai/whisper-large-v3
  sermm transcribe data=emodb protocol=groups5 recogniser=whisper recogniser.language=de
  sermm transcribe data=emodb protocol=groups5 recogniser=whisper recogniser.language=null
  sermm transcribe data=ravdess protocol=groups5 recogniser=sphinx format=json texts=true

Recognisers: ctc (default: facebook/wav2vec2-large-960h), whisper, sphinx.
Keys: data, protocol and recogniser (groups), recogniser.id, recogniser.name, accelerator
(auto | cpu | gpu), max_seconds, format (table | json), texts (true | false: in json), cache_dir.
"""

import json
from collections import Counter
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from sermm.core.figures import fixed, percent
from sermm.report.output.console import simple_table

if TYPE_CHECKING:
    from rich.console import RenderableType

_FIRST = 5
_MOST_CHARACTERS = 20
_MOST_TALKERS = 30


def run(arguments: list[str]) -> int:
    """Recognises and prints; 1 if utterances could not be read.

    Raises:
        InputError: the corpus or the recogniser cannot be used.
    """
    from sermm.configuration.verbs import TranscribeConfig
    from sermm.encoders.precision import refuse_absent
    from sermm.engine.inputs.corpus import load
    from sermm.engine.inputs.transcribe import make_recogniser, transcribe
    from sermm.engine.inputs.transcript_scores import summarise

    config = TranscribeConfig.of(arguments)
    refuse_absent(config.accelerator, "accelerator")
    # First, because it is quick to tell that a folder is wrong, and slow to listen to a corpus.
    recogniser = make_recogniser(config.recogniser)
    loaded = load(config)
    done = transcribe(config, loaded, recogniser)
    summary = summarise(done, loaded)
    if config.format == "json":
        texts = {"texts": done.texts} if config.texts else {}
        print(json.dumps(summary | texts, indent=2, ensure_ascii=False))
    else:
        print(render(f"{config.data.name} under {loaded.protocol.name}", summary), end="")
    return int(bool(done.failures))


def render(title: str, summary: Mapping[str, Any]) -> str:
    """The summary for people."""
    from rich.console import Console

    wer = summary["wer"]
    parts: list[RenderableType] = [f"{title}, {summary['text_source']}", _work(summary), ""]
    if wer["all"]["wer"] is None:
        parts.append("No human transcript has a word: there is no word error rate.")
    else:
        parts += [f"Word error rate ({summary['normalisation']}):", _errors(wer)]
        if (more := len(wer["talker"]) - _MOST_TALKERS) > 0:
            parts.append(f"{more} more talkers in format=json.")
    parts += _apart(wer["all"]) + _unwritable(summary["unwritable"]) + _failed(summary)
    parts.append(f"Use them: sermm train ... text.source={summary['text_source']}")
    console = Console(markup=False, highlight=False, emoji=False)
    with console.capture() as capture:
        console.print(*parts, sep="\n")
    return capture.get()


def _work(summary: Mapping[str, Any]) -> str:
    text = (
        f"{summary['utterances']} utterances: {summary['recognised']} recordings recognised, "
        f"{summary['stored']} taken from the store"
    )
    if summary["took_s"]:
        rate = summary["seconds"] / summary["took_s"]
        text += (
            f"; {fixed(summary['seconds'], 0)} s of audio in {fixed(summary['took_s'], 0)} s, "
            f"{fixed(rate, 1)}x real time"
        )
    if summary["windowed"]:
        text += f"; {summary['windowed']} too long to be heard at once, cut where it is quiet"
    if summary["languages"]:
        found = ", ".join(f"{code} {n}" for code, n in summary["languages"].items())
        text += f"\nLanguages detected in what was recognised now: {found}"
    return text


def _errors(wer: Mapping[str, Any]) -> "RenderableType":
    table = simple_table("", "WER", "utterances", "words", "substituted", "deleted", "inserted")
    rows = [("all", wer["all"])]
    for part in ("act", "class", "gender", "talker"):
        values = list(wer[part].items())[: _MOST_TALKERS if part == "talker" else None]
        rows += [(f"{part} {value}", scores) for value, scores in values]
    for name, scores in rows:
        rate = "-" if scores["wer"] is None else f"{percent(scores['wer'])} %"
        counts = ("utterances", "words", "substitutions", "deletions", "insertions")
        table.add_row(name, rate, *(str(scores[key]) for key in counts))
    return table


def _apart(scores: Mapping[str, Any]) -> list["RenderableType"]:
    lines: list[RenderableType] = []
    if scores["wordless"]:
        lines.append(
            f"Not among these: {scores['wordless']} utterances whose human transcript has no word "
            f"({scores['words_in_wordless']} words were recognised in them)."
        )
    if scores["untranscribed"]:
        lines.append(f"Not among these: {scores['untranscribed']} without a human transcript.")
    return lines


def _unwritable(lacking: Mapping[str, Any] | None) -> list["RenderableType"]:
    if lacking is None or not lacking["utterances"]:
        return []
    listed = list(lacking["characters"].items())
    shown = ", ".join(f"{character} ({n})" for character, n in listed[:_MOST_CHARACTERS])
    more = f" and {len(listed) - _MOST_CHARACTERS} more" if len(listed) > _MOST_CHARACTERS else ""
    return [
        f"The recogniser cannot write {shown}{more}: they occur in {lacking['utterances']} human "
        "transcripts."
    ]


def _failed(summary: Mapping[str, Any]) -> list["RenderableType"]:
    failures = [f"{where}: {what}" for where, what in summary["failures"].items()]
    problems = summary["problems"]
    counts = Counter(problem["kind"] for problem in problems)
    lines = [f"{len(failures)} could not be read:", *failures[:_FIRST]] if failures else []
    if counts:
        kinds = ", ".join(f"{kind} {n}" for kind, n in counts.most_common())
        lines.append(f"{len(problems)} problems of the corpus: {kinds}")
        lines += [f"{p['where']}: {p['what']}" for p in problems[:_FIRST]]
    return list(lines)
