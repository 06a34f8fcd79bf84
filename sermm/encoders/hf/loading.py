"""Pre-trained encoders from a local folder or the hub, and one clear error when they cannot be had.

What is on this machine is taken first, so that a sweep of many runs reads the same files and asks
no network. Code of the hub is never executed, and weights are read as tensors only.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Literal

import huggingface_hub
import torch

from sermm.core.digest import digest, digest_file
from sermm.core.errors import InputError
from sermm.core.files import read_json
from sermm.encoders.base import Trainable

CONFIG = ("config.json",)
WEIGHTS = (
    "model.safetensors",
    "model.safetensors.index.json",
    "pytorch_model.bin",
    "pytorch_model.bin.index.json",
)
# In a folder of sentence-transformers: what it is made of, and where each part lies.
_MODULES = "modules.json"
_PROBE_S = 5.0
_OF_WEIGHTS = (".safetensors", ".bin")
# Where a run's configuration of an encoder has the digest of the weights that the run lacks.
_BASE = "base_weights"
_FILES = (".json", ".txt", ".model", ".safetensors", ".bin")
# How the hub's cache calls the folder of a checkpoint.
_CACHED = "models--"
# Part of a checkpoint that no encoder here has.
_UNUSED = "pooler."
# Parts that a checkpoint may lack: the encoders do not use them, or only when training.
_OPTIONAL_WEIGHTS = ("pooler.", "masked_spec_embed")


@dataclass(frozen=True)
class Source:
    """Where an encoder comes from.

    Attributes:
        id: hub id ("owner/name"), or the path of a local folder.
        key: the configuration key that errors name, e.g. "encoder.speech".
        revision: commit, tag or branch on the hub.
        argument: what the user gave the place as: "id", or "assets".
    """

    id: str
    key: str
    revision: str | None = None
    argument: Literal["id", "assets"] = "id"

    def __str__(self) -> str:
        return f"{self.key}.{self.argument}={self.id}"

    @classmethod
    def of_assets(cls, folder: str | Path, key: str) -> "Source":
        """A folder of `save_assets`."""
        return cls(str(Path(folder).absolute()), key, argument="assets")

    @property
    def is_folder(self) -> bool:
        """Whether the id is the path of a folder on this machine."""
        return self.id.startswith(("/", "./", "../", "~")) or Path(self.id).is_dir()

    @property
    def folder(self) -> Path:
        """Where the files lie: of a sentence encoder, those of its transformer.

        Raises:
            InputError: the folder says that it has no transformer, or cannot be understood.
        """
        folder = Path(self.id).expanduser()
        if not (folder / _MODULES).is_file():
            return folder
        try:
            parts = read_json(folder / _MODULES)
            known = {str(m["type"]).rsplit(".", 1)[-1]: str(m["path"]) for m in parts}
        except (OSError, ValueError, TypeError, KeyError) as error:
            raise InputError(
                f"{self}: {_MODULES} of this folder cannot be read: {error}"
            ) from error
        if "Transformer" not in known:
            raise InputError(
                f"{self}: a sentence encoder without a transformer ({_MODULES} names "
                f"{', '.join(known) or 'nothing'}); give one with a module Transformer"
            )
        return folder / Path(known["Transformer"]).name

    def require(self, *alternatives: Sequence[str]) -> None:
        """Checks that a local folder holds one file of each group of alternatives.

        Raises:
            InputError: the folder or a file is missing; hub ids are not looked at.
        """
        if not self.is_folder:
            return
        if not Path(self.id).expanduser().is_dir():
            raise InputError(f"{self}: there is no such folder")
        folder = self.folder
        for names in alternatives:
            if not any((folder / name).is_file() for name in names):
                raise InputError(
                    f"{self}: the folder has no {' or '.join(names)}; "
                    "give a complete folder as written by save_pretrained"
                )

    def fingerprint(self) -> str:
        """What tells these files from any others: `folder:<digest>` or `hub:<id>@<commit>`.

        Raises:
            InputError: the encoder cannot be had.
        """
        if self.is_folder:
            self.require(CONFIG)
            return f"folder:{_digest_files(_stamps(self.folder))}"
        cached = self._cached_config()
        if cached is None:
            load_any_config(self)
            cached = self._cached_config()
        if cached is None:
            raise InputError(f"{self}: the hub's cache holds no {CONFIG[0]} of it; check HF_HOME")
        return f"hub:{self.id}@{cached.parent.name}"

    def weights_digest(self) -> str:
        """Of the files with the weights of a folder, whatever lies beside them."""
        stamps = _stamps(Path(self.id).expanduser())
        return _digest_files(tuple(one for one in stamps if one[0].suffix in _OF_WEIGHTS))

    def _cached_config(self) -> Path | None:
        """Where the hub's cache holds the configuration: in a folder named by the commit."""
        found = huggingface_hub.try_to_load_from_cache(self.id, CONFIG[0], revision=self.revision)
        return Path(found) if isinstance(found, str) else None

    def fetch(self, load: Callable[..., Any], **options: Any) -> Any:
        """Calls a `from_pretrained`, with the files of this machine first, then with the hub's.

        Raises:
            InputError: the encoder cannot be had, or its files cannot be read.
        """
        path = str(self.folder) if self.is_folder else self.id
        if self.revision is not None:
            options["revision"] = self.revision
        options["trust_remote_code"] = False
        try:
            with quiet():
                return self._local_first(load, path, options)
        except Exception as error:
            # Half a folder fails in many ways within the libraries; all of them are bad input.
            raise InputError(self._explain(error)) from error

    def _local_first(self, load: Callable[..., Any], path: str, options: dict[str, Any]) -> Any:
        try:
            return load(path, local_files_only=True, **options)
        except OSError:
            if self.is_folder or huggingface_hub.constants.HF_HUB_OFFLINE:
                raise
        # One request without retries: from_pretrained would go on for half a minute.
        url = huggingface_hub.hf_hub_url(self.id, CONFIG[0], revision=self.revision)
        huggingface_hub.get_hf_file_metadata(url, timeout=_PROBE_S)
        return load(path, **options)

    def _explain(self, error: Exception) -> str:
        lines = str(error).strip().splitlines()
        reason = ": ".join([type(error).__name__, *lines[:1]])
        if self.is_folder:
            return f"{self}: the files of this folder cannot be read: {reason}"
        return (
            f"{self}: neither on this machine nor to be had from the hub "
            f"({reason}); give a folder with its files ({self.key}.id=/path/to/folder), or run "
            f"`hf download {self.id}` where there is a network and set HF_HOME to that cache"
        )


@contextmanager
def quiet() -> Iterator[None]:
    """Without progress bars and load reports: what matters is checked and raised here."""
    from transformers.utils import logging

    verbosity, bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        logging.set_verbosity(verbosity)
        if bars:
            logging.enable_progress_bar()


def load_any_config(source: Source) -> Any:
    """The configuration of an encoder, whatever its family."""
    # transformers takes half a second to import, and stored features need nothing of it.
    from transformers import AutoConfig

    return source.fetch(AutoConfig.from_pretrained)


def load_config(source: Source, families: Sequence[str]) -> Any:
    """The configuration of an encoder of one of these families (`model_type`).

    Raises:
        InputError: it cannot be had, or is of another family.
    """
    from transformers import PreTrainedConfig

    source.require(CONFIG)
    # Of families that transformers does not know, no more than the file can be read.
    described, _ = source.fetch(PreTrainedConfig.get_config_dict)
    family = described.get("model_type") or load_any_config(source).model_type
    if family not in families:
        raise InputError(
            f"{source} is a {family!r} model, expected one of {', '.join(families)}"
            f"{_elsewhere(family, source.key)}"
        )
    return load_any_config(source)


def _elsewhere(family: str, key: str) -> str:
    """Where a model of the other modality belongs, as an end of a message."""
    from transformers.models.auto import modeling_auto as known

    hears = {
        *known.MODEL_FOR_CTC_MAPPING_NAMES,
        *known.MODEL_FOR_AUDIO_CLASSIFICATION_MAPPING_NAMES,
        *known.MODEL_FOR_SPEECH_SEQ_2_SEQ_MAPPING_NAMES,
    }
    reads = {*known.MODEL_FOR_MASKED_LM_MAPPING_NAMES, *known.MODEL_FOR_CAUSAL_LM_MAPPING_NAMES}
    if family in hears:
        return "" if key != "encoder.text" else "; it hears speech: encoder.speech.id"
    return "; it reads text: encoder.text.id" if family in reads and key != "encoder.text" else ""


def initial_model(
    source: Source, config: Any, trainable: Trainable, assets: str | Path | None
) -> Any:
    """The model as it is before a run's own weights are read.

    Where a run has kept its weights (`assets`) random ones do, unless nothing of the model was
    trained: then the run has left it out.

    Raises:
        InputError: weights cannot be had or read, or some are missing.
    """
    if trainable != "none":
        return load_model(source, config) if assets is None else random_model(config)
    model = load_model(source, config)
    _refuse_others(source, model.config, assets)
    return model


def _refuse_others(source: Source, config: Any, assets: str | Path | None) -> None:
    """Finds weights that are not those that a run was trained on; what they are goes with `config`.

    Of a folder alone: what the hub has by one id may be told apart by its revision.
    """
    if not source.is_folder:
        return
    found, known = source.weights_digest(), getattr(config, _BASE, None)
    if assets is not None and known not in (None, found):
        raise InputError(
            f"{source}: its weights are not those that this run was trained on (digest "
            f"{found[:12]}, the run's {known[:12]}), which keeps only what it has trained itself; "
            "put the checkpoint of then back there, or train again"
        )
    setattr(config, _BASE, found)


def load_model(source: Source, config: Any) -> Any:
    """The pre-trained model in float32, all its weights found.

    Raises:
        InputError: weights cannot be had or read, or some are missing.
    """
    source.require(WEIGHTS)
    architecture, renamed = _architecture(config)
    # float32 said aloud: the default is whatever the checkpoint was saved in.
    model, info = source.fetch(
        architecture.from_pretrained,
        config=config,
        dtype=torch.float32,
        output_loading_info=True,
        **renamed,
    )
    _refuse_missing(source, info)
    return model


def random_model(config: Any) -> Any:
    """The same architecture with random weights from torch's global generator, in float32."""
    architecture, _ = _architecture(config)
    make = getattr(architecture, "from_config", None) or architecture._from_config
    return make(config, dtype=torch.float32)


def _architecture(config: Any) -> tuple[Any, dict[str, Any]]:
    """The class of a model, and how `from_pretrained` finds its weights; of Whisper the encoder."""
    from transformers import AutoModel

    if config.model_type != "whisper":
        return AutoModel, {}
    from transformers.models.whisper.modeling_whisper import WhisperEncoder

    return WhisperEncoder, {"key_mapping": {r"^(?:model\.)?encoder\.": ""}}


def checkpoint_name(given: str) -> str:
    """What the hub calls a checkpoint; one in a folder by the folder's name.

    A folder of the hub's cache (`models--owner--name/snapshots/<commit>`) has the hub's name.

    Args:
        given: hub id, or the path of a folder.
    """
    if not Source(given, "").is_folder:
        return given
    parts = Path(given).expanduser().absolute().parts
    cached = next((one for one in parts if one.startswith(_CACHED)), None)
    return parts[-1] if cached is None else cached.removeprefix(_CACHED).replace("--", "/")


@lru_cache(maxsize=16)
def checkpoint_size(source: Source) -> int:
    """How many parameters of a checkpoint are used; read off its configuration, without weights.

    Raises:
        InputError: the configuration cannot be had.
    """
    config = load_any_config(source)
    with torch.device("meta"):
        named = list(random_model(config).named_parameters())
    return sum(one.numel() for name, one in named if not name.startswith(_UNUSED))


def _stamps(folder: Path) -> tuple[tuple[Path, int, int], ...]:
    """The files of an encoder, of two forms of the weights the safe one; size and time of each."""
    files = [f for f in sorted(folder.iterdir()) if f.suffix in _FILES and f.is_file()]
    safe = any(f.suffix == ".safetensors" for f in files)
    kept = [f for f in files if not (safe and f.suffix == ".bin")]
    return tuple((f, f.stat().st_size, f.stat().st_mtime_ns) for f in kept)


@lru_cache(maxsize=16)
def _digest_files(stamps: tuple[tuple[Path, int, int], ...]) -> str:
    return digest([[stamp[0].name, _digest_of(stamp)] for stamp in stamps])


@lru_cache(maxsize=256)
def _digest_of(stamp: tuple[Path, int, int]) -> str:
    return digest_file(stamp[0])


def _refuse_missing(source: Source, info: Mapping[str, Any]) -> None:
    missing = sorted(k for k in info["missing_keys"] if not k.startswith(_OPTIONAL_WEIGHTS))
    if missing:
        raise InputError(
            f"{source}: the checkpoint lacks {len(missing)} weights of its own "
            f"configuration (first: {missing[0]}); its files do not belong together"
        )


@contextmanager
def staged(folder: Path) -> Iterator[Path]:
    """Yields a temporary folder whose files are renamed into `folder` on success."""
    folder.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(dir=folder.parent, prefix=f".{folder.name}.") as temporary:
        yield Path(temporary)
        for file in sorted(Path(temporary).iterdir()):
            file.replace(folder / file.name)
