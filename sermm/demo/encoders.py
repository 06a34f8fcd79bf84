"""Checkpoints for the demo: small random encoders in the files of real ones.

They are written on first use, in the form that `save_pretrained` gives, so that the demo goes the
way of a real checkpoint: read by `from_pretrained`, frozen, stored once, its layers mixed. Their
weights are random; what is trained on them proves plumbing, not accuracy.
"""

import tempfile
from pathlib import Path
from typing import Any, ClassVar, Final

import torch

from sermm.core.digest import digest, digest_file
from sermm.core.seeding import seed_of
from sermm.demo.sentences import vocabulary
from sermm.encoders.adapter import Adapter
from sermm.encoders.base import Origin, Trainable
from sermm.encoders.hf.base import HFEncoder, Layers
from sermm.encoders.hf.gdes import Gdes
from sermm.encoders.hf.loading import quiet
from sermm.encoders.hf.speech import HFSpeechEncoder
from sermm.encoders.hf.text import HFTextEncoder

SIZES: Final = {
    "hidden_size": 64,
    "intermediate_size": 128,
    "num_hidden_layers": 4,
    "num_attention_heads": 4,
}
SPECIAL: Final = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")


class _DemoCheckpoint(HFEncoder):
    """What both say of themselves; `kind` names the checkpoint."""

    kind: ClassVar[str]

    @classmethod
    def described(cls, **config: Any) -> dict[str, Any]:
        """As of any checkpoint."""
        return super().described(id=checkpoint(config["root"], cls.kind), **config)

    @classmethod
    def origin(cls, **config: Any) -> Origin:  # noqa: ARG003
        """The demo's, whose weights are random."""
        return Origin(f"demo {cls.kind} checkpoint", "random")

    @classmethod
    def size(cls, **config: Any) -> int | None:
        """As of any checkpoint."""
        return super().size(id=checkpoint(config["root"], cls.kind), **config)


class DemoSpeechEncoder(_DemoCheckpoint, HFSpeechEncoder):
    """A wav2vec 2.0 of four layers of 64, 40 ms a frame.

    Args:
        root: where the demo's checkpoints lie.
        trainable: "none", "all", or how many of the top layers.
        layers: "last", "all", "transformer", or numbers.
        assets: a folder of `save_assets`.
        adapter: `lora`, or a record of its settings.
    """

    kind = "speech"

    def __init__(
        self,
        root: str | Path,
        trainable: Trainable = "none",
        layers: Layers = "last",
        assets: str | Path | None = None,
        adapter: Adapter = None,
    ) -> None:
        folder = checkpoint(root, "speech")
        super().__init__(folder, None, trainable, layers, assets=assets, adapter=adapter)


class DemoTextEncoder(_DemoCheckpoint, HFTextEncoder):
    """A BERT of four layers of 64 that knows the demo's words.

    Args:
        root: where the demo's checkpoints lie.
        trainable: "none", "all", or how many of the top layers.
        layers: "last", "all", "transformer", or numbers.
        assets: a folder of `save_assets`.
        gdes: the word embeddings learn a residual: none, full, or its rank.
        adapter: `lora`, or a record of its settings.
    """

    kind = "text"

    def __init__(
        self,
        root: str | Path,
        trainable: Trainable = "none",
        layers: Layers = "last",
        assets: str | Path | None = None,
        gdes: Gdes = "none",
        adapter: Adapter = None,
    ) -> None:
        folder = checkpoint(root, "text")
        super().__init__(folder, None, trainable, layers, assets=assets, gdes=gdes, adapter=adapter)


def checkpoint(root: str | Path, kind: str) -> str:
    """The folder of the checkpoint, `speech` or `text`; it is written if it is not there."""
    # Named by what it is made of, as the demo corpus is: other words, another checkpoint.
    name = digest([digest_file(Path(__file__)), *vocabulary()])[:8]
    folder = Path(root).expanduser() / f"{kind}-{name}"
    if not folder.is_dir():
        folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder.parent) as temporary:
            whole = Path(temporary) / kind
            with torch.random.fork_rng(devices=[]), quiet():
                torch.manual_seed(seed_of(0, "demo encoder", kind))
                _write_speech(whole) if kind == "speech" else _write_text(whole)
            try:
                whole.rename(folder)
            except OSError:
                # Another process was quicker with the very same files.
                if not folder.is_dir():
                    raise
    return str(folder)


def _write_speech(folder: Path) -> None:
    from transformers import Wav2Vec2Config, Wav2Vec2FeatureExtractor, Wav2Vec2Model

    config = Wav2Vec2Config(
        **SIZES,
        conv_dim=[64] * 7,
        # 40 ms a frame instead of 20: half the work.
        conv_stride=[5, 2, 2, 2, 2, 2, 4],
        num_conv_pos_embeddings=16,
        num_conv_pos_embedding_groups=4,
    )
    Wav2Vec2Model(config).save_pretrained(folder)
    Wav2Vec2FeatureExtractor(do_normalize=False).save_pretrained(folder)


def _write_text(folder: Path) -> None:
    from transformers import BertConfig, BertModel, BertTokenizerFast

    words = [*SPECIAL, *vocabulary(), *"!?.,'"]
    BertModel(BertConfig(vocab_size=len(words), **SIZES)).save_pretrained(folder)
    (folder / "vocab.txt").write_text("\n".join(words), encoding="utf-8")
    BertTokenizerFast(vocab=str(folder / "vocab.txt")).save_pretrained(folder)
