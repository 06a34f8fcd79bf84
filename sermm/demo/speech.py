"""Speech for the demo corpus: asks the synthesiser's process and shapes what it answers."""

import base64
import importlib.util
import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Literal

import numpy as np
import torch
from jaxtyping import Float
from torchaudio.functional import resample

from sermm.core.errors import InputError
from sermm.demo.prosody import Prosody

SAMPLE_RATE_HZ: Final = 16_000
# Zero crossings of the filter on either side, and where it cuts, of the lower Nyquist frequency.
_ZEROS: Final = 16
_ROLLOFF: Final = 0.94


@dataclass(frozen=True, slots=True)
class Event:
    """Where a word or a phone starts.

    Attributes:
        kind: word or phone.
        at_s: seconds from the start of the speech.
        place: where the word starts in the text that was spoken, from 0.
        symbol: espeak-ng's mnemonic of the phone.
    """

    kind: Literal["word", "phone"]
    at_s: float
    place: int
    symbol: str


@dataclass(frozen=True, slots=True)
class Speech:
    """Samples in -1..1 at 16 kHz, and what they say when."""

    samples: Float[np.ndarray, " t"]
    events: tuple[Event, ...]


class Synthesiser:
    """A running synthesiser process; use it in a `with` statement."""

    def __init__(self) -> None:
        if importlib.util.find_spec("espeakng_loader") is None:
            raise InputError(
                "data=demo: the speech synthesiser espeak-ng is not installed; "
                'run pip install "sermm[demo]"'
            )
        # By its path and with -P: its own folder must not become a place to import from.
        program = Path(__file__).with_name("synthesiser.py")
        self._process = subprocess.Popen(
            [sys.executable, "-P", str(program)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            encoding="utf-8",
            # Ctrl-C is this process's to answer; the synthesiser ends when its input does.
            start_new_session=True,
        )

    def __enter__(self) -> "Synthesiser":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._process.kill()
        self._process.communicate()

    def say(self, text: str, prosody: Prosody) -> Speech:
        """Speaks one text.

        Raises:
            InputError: the synthesiser ended; what it printed stands above on stderr.
        """
        request = {
            "text": text,
            "voice": prosody.voice,
            "pitch": prosody.pitch,
            "range": prosody.range,
            "rate": prosody.rate,
        }
        answer = self._answer(json.dumps(request))
        rate_hz = int(answer["rate_hz"])
        pcm = np.frombuffer(base64.b64decode(answer["pcm"]), dtype="<i2") / 32768.0
        events = tuple(
            Event(kind, sample / rate_hz, place, symbol)
            for kind, sample, place, symbol in answer["events"]
        )
        shaped = _levelled(_tilted(resampled(pcm, rate_hz), prosody.tilt), prosody.level_db)
        return Speech(shaped, events)

    def _answer(self, line: str) -> dict[str, Any]:
        stdin, stdout = self._process.stdin, self._process.stdout
        answer = ""
        if stdin and stdout:
            try:
                stdin.write(line + "\n")
                stdin.flush()
                answer = stdout.readline()
            except BrokenPipeError:
                answer = ""
        if not answer:
            raise InputError(
                f"data=demo: the speech synthesiser ended with status {self._process.wait()} at "
                f'{line}; reinstall it: pip install --force-reinstall "sermm[demo]"'
            )
        found: dict[str, Any] = json.loads(answer)
        return found


def resampled(samples: Float[np.ndarray, " t"], rate_hz: int) -> Float[np.ndarray, " u"]:
    """At 16 kHz, by a windowed sinc; the first sample stays where it is."""
    found = resample(torch.from_numpy(samples), rate_hz, SAMPLE_RATE_HZ, _ZEROS, _ROLLOFF)
    shaped: np.ndarray = found.numpy()
    return shaped


def _tilted(samples: Float[np.ndarray, " t"], tilt: float) -> Float[np.ndarray, " t"]:
    """More (tilt > 0) or less of the high frequencies: `y[n] = x[n] - tilt x[n-1]`."""
    return samples - tilt * np.concatenate(([0.0], samples[:-1]))


def _levelled(samples: Float[np.ndarray, " t"], level_db: float) -> Float[np.ndarray, " t"]:
    """At the RMS asked for, or as near as full scale allows."""
    rms, peak = np.sqrt(np.mean(samples**2)), np.abs(samples).max()
    gain: float = min(10 ** (level_db / 20) / max(rms, 1e-9), 0.98 / max(peak, 1e-9))
    return samples * gain
