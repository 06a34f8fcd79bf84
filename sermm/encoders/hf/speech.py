"""Pre-trained speech encoders: ragged in and out, in any batch alike to rounding.

What the kinds of models differ in stands in their families: `waveform_family`, `conformer`, `sew`,
`w2v_bert`, `whisper`.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from sermm.core.batch import Batch
from sermm.core.errors import InputError
from sermm.core.ragged import Ragged
from sermm.encoders.adapter import Adapter
from sermm.encoders.base import Needs, Trainable
from sermm.encoders.hf.base import HFEncoder, Layers, defaults_of
from sermm.encoders.hf.families.conformer import ConformerFamily
from sermm.encoders.hf.families.sew import SEWFamily
from sermm.encoders.hf.families.speech_family import Context, SpeechFamily
from sermm.encoders.hf.families.w2v_bert import W2vBertFamily
from sermm.encoders.hf.families.waveform_family import WaveformFamily
from sermm.encoders.hf.families.whisper import WhisperFamily
from sermm.encoders.hf.layer_drop import LayerDrop, set_layer_drop
from sermm.encoders.hf.loading import Source, initial_model, load_config, staged

_OF_WAVEFORMS: Sequence[type[SpeechFamily]] = (WaveformFamily, SEWFamily, ConformerFamily)
_FAMILIES: Sequence[type[SpeechFamily]] = (*_OF_WAVEFORMS, W2vBertFamily, WhisperFamily)
# Of those of waveforms transformers has recognisers (CTC).
WAVEFORM_FAMILIES = tuple(name for family in _OF_WAVEFORMS for name in family.model_types)
FAMILIES = tuple(name for family in _FAMILIES for name in family.model_types)
_KEY = "encoder.speech"
# Raise it when the same waveform and weights give other hidden states: stored ones no longer count.
_CODE = 1


class SpeechTransformer(HFEncoder):
    """A Hugging Face speech model made exact over ragged batches.

    Args:
        hf: a model of one of the `FAMILIES`.
        trainable: "all", "none", or how many of the top transformer layers.
        layers: "last", "all" (input of the first layer and every layer), "transformer", or numbers:
            0 = the input of the first layer (the projected front end), 1 the first layer.
        freeze_front_end: the convolutional front end is never trained.
        normalise: every clip to zero mean and unit variance first.
        spec_augment: mask spans of frames in training, with the model's own probabilities.
        context: what follows a clip, for families that are used to silence after it.

    Raises:
        InputError: the model masks nothing, or `context` is none of its family.
    """

    needs: frozenset[Needs] = frozenset({"waveform"})

    def __init__(
        self,
        hf: Any,
        trainable: Trainable,
        layers: Layers,
        freeze_front_end: bool,
        normalise: bool,
        spec_augment: bool,
        context: Context = None,
    ) -> None:
        family = family_of(hf.config)(hf, normalise, spec_augment, context)
        super().__init__(hf, family.blocks, family.on_top, trainable, layers, _KEY)
        self._family = family
        self.normalise = normalise
        self.freeze_front_end = freeze_front_end
        self.frame_s = family.frame_s
        if freeze_front_end:
            for part in family.front:
                part.requires_grad_(False)
        family.settle(trained=trainable == "all")

    def train(self, mode: bool = True) -> "SpeechTransformer":
        """Training mode for the trained parts only."""
        super().train(mode)
        for part in (*self._family.still, *(self._family.front if self.freeze_front_end else ())):
            part.eval()
        return self

    def forward(self, batch: Batch) -> Ragged:
        """Hidden states `[n layers d]`, one row a frame (20 ms for most families).

        A clip shorter than one frame is filled with zeros to one; so is an empty one.
        """
        if batch.waveform is None:
            raise InputError(f"{_KEY} needs waveforms, and the batch of {batch.ids[0]} has none")
        with self._gradient():
            return self._family.hidden_states(batch.waveform, self._chosen, self._recomputes)

    def positions(self, length: int) -> int:
        """Frames of a clip of so many samples; at least one."""
        return self._family.positions(length)

    def save_assets(self, folder: Path) -> None:
        """Writes config.json and preprocessor_config.json."""
        with staged(folder) as temporary:
            self.hf.config.save_pretrained(temporary)
            self._family.save_preprocessor(temporary)


class HFSpeechEncoder(SpeechTransformer):
    """A pre-trained speech encoder by hub id or local folder.

    Adapters that shorten time after the transformer are left out.

    Args:
        id: hub id or folder.
        revision: commit, tag or branch on the hub.
        trainable: "all", "none", or how many of the top transformer layers.
        layers: "last", "all" (projected front end and every layer), "transformer", or numbers:
            0 = the projected front end, 1 the first layer.
        freeze_front_end: the convolutional front end is never trained.
        normalise: every clip to zero mean and unit variance; None: as the encoder was trained.
        spec_augment: mask spans of frames in training, with the checkpoint's own probabilities.
        adapter: `lora`, or a record of its settings: it is trained in place of the encoder, in the
            layers that `trainable` names; None: no adapter.
        layerdrop: how likely a layer is left out of a training batch; "checkpoint": as its
            config.json says; None: never. This and `spec_augment` are of encoders that are trained
            whole: where some or all layers stay as they are, neither does anything.
        context: of Whisper, how much silence follows a clip: `own` (none), `30s` (as many as fill
            30 s), or seconds; None: 1 s.
        assets: a folder of `save_assets`: nothing is read from `id` but the weights of an
            encoder of which nothing is trained; other weights are random until loaded.

    Raises:
        InputError: the encoder cannot be had, is of another kind, or expects another rate, or
            `layerdrop` or `context` is none of these.
    """

    pretrained = True
    storable = True

    def __init__(
        self,
        id: str,  # noqa: A002 (the hub's word)
        revision: str | None = None,
        trainable: Trainable = "all",
        layers: Layers = "last",
        freeze_front_end: bool = True,
        normalise: bool | None = None,
        spec_augment: bool = False,
        assets: str | Path | None = None,
        layerdrop: LayerDrop = None,
        context: Context = None,
        adapter: Adapter = None,
    ) -> None:
        source = Source(id, _KEY, revision)
        described = source if assets is None else Source.of_assets(assets, _KEY)
        config = load_config(described, FAMILIES)
        set_layer_drop(layerdrop, config, _KEY)
        _leave_out_adapter(config)
        normalise = family_of(config).normalises(described, config, normalise)
        hf = initial_model(source, config, trainable if adapter is None else "none", assets)
        super().__init__(hf, trainable, layers, freeze_front_end, normalise, spec_augment, context)
        self.reloadable = trainable == "none"
        self.adapt(adapter, trainable, _KEY)

    @classmethod
    def described(cls, **config: Any) -> dict[str, Any]:
        """Weights, layers and preprocessing; read without loading the weights."""
        settings = {**defaults_of(HFSpeechEncoder), **config}
        return {
            "encoder": "speech",
            "weights": Source(settings["id"], _KEY, settings["revision"]).fingerprint(),
            "layers": settings["layers"],
            "normalise": settings["normalise"],
            "code": _CODE,
            **({} if settings["context"] is None else {"context": settings["context"]}),
        }


def _leave_out_adapter(config: Any) -> None:
    """What shortens time behind the transformer, and w2v-BERT's feed-forward layer before it."""
    if hasattr(config, "use_intermediate_ffn_before_adapter"):
        config.use_intermediate_ffn_before_adapter = False
    config.add_adapter = False


def family_of(config: Any) -> type[SpeechFamily]:
    """The family of a model, by its config.json, which `load_config` has looked at."""
    return next(one for one in _FAMILIES if config.model_type in one.model_types)
