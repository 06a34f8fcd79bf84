"""What text encoders read: the human transcripts, or those of a machine.

A machine's transcripts lie in `cache_dir/transcripts/<name>/`, by the digest of the audio,
whichever corpus it came from. A run only looks them up: it never recognises, since that may take
hours and needs choices that are not its own (`sermm transcribe`). So nothing here loads a
recogniser.
"""

import re
import shlex
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sermm.configuration.component import Component
from sermm.configuration.groups import HUMAN
from sermm.configuration.verbs import CorpusConfig
from sermm.core.errors import InputError
from sermm.core.records import Utterance
from sermm.core.transcripts import composed, spoken
from sermm.recognisers.word_errors import word_errors
from sermm.store.items import ItemStore

_MACHINE = "asr:"
_NAME = re.compile(r"[A-Za-z0-9][\w.-]*", re.ASCII)


@dataclass(frozen=True)
class Transcripts:
    """What a store holds.

    Attributes:
        name: of the store.
        identity: what determines the texts; kept in the result of every run that reads them.
        asked: the configuration of the recogniser, as it was first asked for.
        texts: by digest of the audio.
    """

    name: str
    identity: dict[str, Any]
    asked: Component
    texts: dict[str, str]


def read_transcripts(cache_dir: str | Path, name: str, key: str = "text.source") -> Transcripts:
    """What is kept by a name.

    Damaged pieces are told on stderr; their texts are missing, as if never recognised.

    Args:
        cache_dir: where the stores lie.
        name: of one, without `asr:`.
        key: that names it, for the message.

    Raises:
        InputError: there is nothing by it.
    """
    store = transcript_store(cache_dir, name)
    if store.identity is None:
        there = sorted(folder.parent.name for folder in store.folder.parent.glob("*/source.json"))
        raise InputError(
            f"{key}={_MACHINE}{name}: there are no transcripts by that name in "
            f"{store.folder.parent}; there are {', '.join(there) or 'none'}. Make them: sermm "
            f"transcribe data=... recogniser=ctc recogniser.name={name}"
        )
    for message in store.damaged.values():
        print(message, file=sys.stderr)
    return Transcripts(name, store.identity, Component.of(store.asked), store.items)


def texts_of(
    config: CorpusConfig, utterances: Sequence[Utterance], digests: Mapping[str, str]
) -> tuple[dict[str, str], dict[str, Any]]:
    """What text encoders read of each utterance, and the record of where it comes from.

    All or nothing: a few utterances without text would be read as silent ones, and nobody would
        see.

    Args:
        config: says where texts come from.
        utterances: whose texts are wanted.
        digests: of their audio, by id.

    Returns:
        Texts by id; and `source`, and for a machine's texts `identity`, `wer` (a fraction, over
        those that have a human transcript) and `n`.

    Raises:
        InputError: the source is not known, or texts are missing; the message has the command that
            makes them.
    """
    source = config.text.source
    if source == HUMAN:
        return {u.id: spoken(u.transcript) for u in utterances}, {"source": HUMAN}
    if not source.startswith(_MACHINE):
        raise InputError(
            f"text.source={source}: expected {HUMAN}, or {_MACHINE}<name> of a recogniser that "
            "`sermm transcribe` has run"
        )
    kept = read_transcripts(config.cache_dir, source.removeprefix(_MACHINE))
    if missing := [u.id for u in utterances if digests[u.id] not in kept.texts]:
        raise InputError(
            f"text.source={source}: {len(missing)} of {len(utterances)} utterances have not been "
            f"recognised (first: {missing[0]}); give `{_command(config, kept)}` first"
        )
    texts = {u.id: composed(kept.texts[digests[u.id]]) for u in utterances}
    errors = word_errors((u.transcript, texts[u.id]) for u in utterances)
    record = {"source": source, "identity": kept.identity, "wer": errors.wer, "n": len(texts)}
    return texts, record


def transcript_store(cache_dir: str | Path, name: str) -> ItemStore:
    """The texts that a recogniser has made, by the digest of the audio.

    Args:
        cache_dir: where all stores lie.
        name: of this one, by which `text.source=asr:<name>` chooses it.

    Raises:
        InputError: the name cannot be that of a folder, or it holds something else.
    """
    if not _NAME.fullmatch(name):
        raise InputError(
            f"recogniser.name={name}: a name has letters, digits, `.`, `_` and `-` only"
        )
    folder = Path(cache_dir) / "transcripts" / name
    return ItemStore(folder, "texts", "choose another name (recogniser.name=...), or delete it")


def _command(config: CorpusConfig, kept: Transcripts) -> str:
    """What makes the missing texts of this corpus with the recogniser of a store.

    Built from what the store says of its maker, so that the texts to come are made like those
    there; other options would be refused.
    """
    data = config.data
    words = [f"data={_module(data)}"]
    words += [f"data.{key}={data.given(key)}" for key in ("root", "manifest") if data.given(key)]
    words += [f"protocol={config.protocol.name}", f"recogniser={_module(kept.asked)}"]
    words += [
        f"recogniser.{key}={'null' if value is None else value}"
        for key, value in kept.asked.arguments.items()
    ]
    if kept.identity["max_seconds"] is not None:
        words.append(f"max_seconds={kept.identity['max_seconds']:g}")
    words.append(f"cache_dir={config.cache_dir}")
    return shlex.join(["sermm", "transcribe", *words])


def _module(config: Component) -> str:
    """The file of `conf/` that a class stands in: it bears the module's name."""
    return config.target.rsplit(".", 2)[-2]
