"""BERT, GPT-2 and their like (`text_families`): token ids in, hidden states out, both ragged.

A batch is filled up on the right and masked, so that positions are those of the text alone, and a
model that reads from left to right meets nothing of it.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Int
from torch import Tensor

from sermm.core.batch import Batch
from sermm.core.errors import InputError
from sermm.core.ragged import Ragged
from sermm.encoders.adapter import Adapter
from sermm.encoders.base import Piece, TextEncoder, Trainable
from sermm.encoders.hf.base import HFEncoder, Layers, defaults_of
from sermm.encoders.hf.gdes import Gdes, with_residual
from sermm.encoders.hf.loading import Source, initial_model, load_config, staged
from sermm.encoders.hf.text_families import FAMILIES
from sermm.encoders.hf.text_pooling import Pool, checked, pooled
from sermm.encoders.pieces import found_again, of_offsets

_KEY = "encoder.text"
# Raise it when the same text and weights give other hidden states: stored ones no longer count.
_CODE = 1
_VOCABULARY = (
    "tokenizer.json",
    "vocab.txt",
    "vocab.json",
    "spm.model",
    "spiece.model",
    "sentencepiece.bpe.model",
    "tokenizer.model",
)
# Byte pairs are told by two files, or by one that has everything.
_PAIRS = "vocab.json"
_MERGES = ("merges.txt", "tokenizer.json")


class TextTransformer(HFEncoder, TextEncoder):
    """A Hugging Face text model over ragged batches.

    Args:
        hf: a model of one of the `FAMILIES`.
        tokenizer: its tokenizer; None until `fit`.
        trainable: "all", "none", or how many of the top transformer layers.
        layers: "last", "all" (embeddings and every layer), "transformer", or numbers:
            0 = the embeddings, 1 the first layer.
        max_tokens: transcripts are cut here, special tokens included.
        gdes: the word embeddings learn a residual to the pre-trained ones: none, full, or its rank.
        pool: None: a state for each token; "first", "last" or "mean": one for the whole text.

    Raises:
        InputError: `max_tokens` is more than the model has positions for, or less than 3; `gdes`
            is wrong, or of embeddings that are not trained; `pool` is no choice for the model.
    """

    def __init__(
        self,
        hf: Any,
        tokenizer: Any,
        trainable: Trainable,
        layers: Layers,
        max_tokens: int,
        gdes: Gdes = "none",
        pool: Pool = None,
    ) -> None:
        family = FAMILIES[hf.config.model_type]
        with_residual(hf, gdes, trained=trainable == "all")
        super().__init__(hf, family.stack(hf), family.norms(hf), trainable, layers, _KEY)
        # Nothing reads the pooler: it would be trained without a gradient.
        self.hf.pooler = None
        if family.causal:
            # Nor what it keeps for a next token, which layers that run again would see twice.
            self.hf.config.use_cache = False
        self.pool = checked(pool, family.causal, _KEY)
        most = family.positions(hf.config)
        if not 3 <= max_tokens <= most:
            raise InputError(f"{_KEY}.max_tokens={max_tokens}: expected 3 to {most}")
        self.max_tokens = max_tokens
        self._tokenizer = tokenizer

    def forward(self, batch: Batch) -> Ragged:
        """Hidden states `[n layers d]`, one row a token, or a text where they are pooled.

        Raises:
            InputError: a token id is outside the vocabulary.
        """
        if batch.tokens is None:
            raise InputError(f"{_KEY} needs tokens, and the batch of {batch.ids[0]} has none")
        _refuse_unknown(batch.tokens.values, self.hf.config.vocab_size)
        with self._gradient():
            ids, mask = batch.tokens.padded()
            # A row without any token attends to one: some kernels give NaN where all is masked.
            mask[:, 0] = True
            output = self.hf(ids, attention_mask=mask.long(), output_hidden_states=True)
            chosen = [output.hidden_states[number] for number in self._chosen]
            rows = [batch.tokens.from_padded(state).values for state in chosen]
            return pooled(batch.tokens.with_values(torch.stack(rows, dim=1)), self.pool)

    def positions(self, length: int) -> int:
        """A row for each of so many tokens, or one for all."""
        return length if self.pool is None else min(1, length)

    def tokenize(self, transcripts: Sequence[str]) -> list[list[int]]:
        """Token ids of each transcript, special tokens included; never an empty list.

        Raises:
            InputError: the tokenizer has yet to be trained.
        """
        if self._tokenizer is None:
            raise InputError(
                f"{_KEY} has no tokenizer yet: call fit() with the training transcripts, or give "
                f"a folder of save_assets ({_KEY}.assets=/path/to/folder)"
            )
        if not transcripts:
            return []
        rows = self._tokenizer(list(transcripts), truncation=True, max_length=self.max_tokens)
        return [row or [_stand_in(self._tokenizer)] for row in rows["input_ids"]]

    def cut(self, transcripts: Sequence[str]) -> list[bool]:
        """Whether each transcript has more tokens than `max_tokens`."""
        return longer(self._tokenizer, transcripts, self.max_tokens)

    def pieces(self, transcript: str) -> list[Piece]:
        """What each token of the transcript stands for, special tokens included.

        A single one of the whole transcript where the states of its tokens are pooled.

        Raises:
            InputError: the tokenizer has yet to be trained.
        """
        if self.pool is not None:
            return [Piece(transcript, (0, len(transcript)) if transcript else None)]
        names = self._tokens(self.tokenize([transcript])[0])
        if not self._tokenizer.is_fast:
            return found_again(names, transcript, set(self._tokenizer.all_special_tokens))
        rows = self._tokenizer(
            transcript,
            truncation=True,
            max_length=self.max_tokens,
            return_offsets_mapping=True,
        )
        # Nothing but the stand-in of an empty row has no offsets.
        return of_offsets(names, rows["offset_mapping"] or [(0, 0)], transcript)

    def _tokens(self, ids: list[int]) -> list[str]:
        names: list[str] = self._tokenizer.convert_ids_to_tokens(ids)
        return names

    def save_assets(self, folder: Path) -> None:
        """Writes config.json and the tokenizer's files."""
        with staged(folder) as temporary:
            self.hf.config.save_pretrained(temporary)
            if self._tokenizer is not None:
                self._tokenizer.save_pretrained(temporary)


class HFTextEncoder(TextTransformer):
    """A pre-trained text encoder by hub id or local folder; of a sentence encoder the transformer.

    Args:
        id: hub id or folder.
        revision: commit, tag or branch on the hub.
        trainable: "all", "none", or how many of the top transformer layers.
        layers: "last", "all" (embeddings and every layer), "transformer", or numbers:
            0 = the embeddings, 1 the first layer.
        max_tokens: transcripts are cut here, special tokens included.
        assets: a folder of `save_assets`: nothing is read from `id` but the weights of an
            encoder of which nothing is trained; other weights are random until loaded.
        gdes: the word embeddings learn a residual to the pre-trained ones: none, full, or its rank.
        adapter: `lora`, or a record of its settings: it is trained in place of the encoder, in the
            layers that `trainable` names; None: no adapter.
        pool: None: a state for each token; "first", "last" or "mean": one for the whole text.

    Raises:
        InputError: the encoder or its tokenizer cannot be had, or is of another kind.
    """

    pretrained = True
    storable = True

    def __init__(
        self,
        id: str,  # noqa: A002 (the hub's word)
        revision: str | None = None,
        trainable: Trainable = "all",
        layers: Layers = "last",
        max_tokens: int = 128,
        assets: str | Path | None = None,
        gdes: Gdes = "none",
        adapter: Adapter = None,
        pool: Pool = None,
    ) -> None:
        source = Source(id, _KEY, revision)
        described = source if assets is None else Source.of_assets(assets, _KEY)
        config = load_config(described, tuple(FAMILIES))
        tokenizer = _load_tokenizer(described, config.vocab_size)
        hf = initial_model(source, config, trainable if adapter is None else "none", assets)
        super().__init__(hf, tokenizer, trainable, layers, max_tokens, gdes, pool)
        self.reloadable = trainable == "none"
        self.adapt(adapter, trainable, _KEY)

    @classmethod
    def described(cls, **config: Any) -> dict[str, Any]:
        """Weights, tokenizer and layers; read without loading the weights."""
        settings = {**defaults_of(HFTextEncoder), **config}
        return {
            "encoder": "text",
            "weights": Source(settings["id"], _KEY, settings["revision"]).fingerprint(),
            "layers": settings["layers"],
            "max_tokens": settings["max_tokens"],
            "code": _CODE,
            # Stored states are older than the choice.
            **({} if settings["pool"] is None else {"pool": settings["pool"]}),
        }

    @classmethod
    def cut_of(cls, transcripts: Sequence[str], **config: Any) -> list[bool]:
        """As `cut` of an encoder of this configuration, of which the tokenizer alone is loaded.

        Args:
            transcripts: of which something may be left out.
            config: the constructor's arguments.

        Raises:
            InputError: the tokenizer cannot be had.
        """
        settings = {**defaults_of(HFTextEncoder), **config}
        source = Source(settings["id"], _KEY, settings["revision"])
        tokenizer = _load_tokenizer(source, load_config(source, tuple(FAMILIES)).vocab_size)
        return longer(tokenizer, transcripts, settings["max_tokens"])


def longer(tokenizer: Any, transcripts: Sequence[str], most: int) -> list[bool]:
    """Whether each transcript has more than so many tokens, special ones included."""
    if not transcripts:
        return []
    # One more than is read tells it; without truncation the tokenizer would warn.
    rows = tokenizer(list(transcripts), truncation=True, max_length=most + 1)["input_ids"]
    return [len(row) > most for row in rows]


def _stand_in(tokenizer: Any) -> int:
    """The token of a text that has none: where the tokenizer has one, the start of any text."""
    known = (
        tokenizer.bos_token_id,
        tokenizer.cls_token_id,
        tokenizer.eos_token_id,
        tokenizer.unk_token_id,
        tokenizer.pad_token_id,
    )
    return next((int(one) for one in known if one is not None), 0)


def _load_tokenizer(source: Source, vocab_size: int) -> Any:
    from transformers import AutoTokenizer

    source.require(_VOCABULARY)
    if source.is_folder and (source.folder / _PAIRS).is_file():
        source.require(_MERGES)
    tokenizer = source.fetch(AutoTokenizer.from_pretrained)
    if len(tokenizer) <= len(tokenizer.all_special_tokens):
        raise InputError(
            f"{source}: its tokenizer has no words; the folder lacks a "
            f"vocabulary ({' or '.join(_VOCABULARY)})"
        )
    if max(tokenizer.get_vocab().values()) >= vocab_size:
        raise InputError(
            f"{source}: its tokenizer knows {len(tokenizer)} words, its "
            f"embedding {vocab_size}; the files do not belong together"
        )
    return tokenizer


def _refuse_unknown(ids: Int[Tensor, " n"], vocab_size: int) -> None:
    if len(ids) and not 0 <= int(ids.min()) <= int(ids.max()) < vocab_size:
        raise InputError(
            f"{_KEY}: token ids {int(ids.min())} to {int(ids.max())}, but the vocabulary has "
            f"{vocab_size} (0 to {vocab_size - 1}); the tokens were made by another tokenizer"
        )
