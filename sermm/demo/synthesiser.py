"""The speech synthesiser: a program of its own that other code only talks to over pipes.

espeak-ng is under the GPL, so nothing else loads it, and this file imports nothing of `sermm`.
It reads one JSON object a line, `{"text", "voice", "pitch", "range", "rate"}` (espeak-ng's own
scales; rate in words a minute), and answers each with one,
`{"rate_hz", "pcm": base64 of 16-bit samples, "events": [[kind, sample, place, symbol], ...]}`:
kind `word` (place: where it starts in the text, from 0) or `phone` (espeak-ng's mnemonic), the
sample where it starts. espeak-ng keeps some state from line to line: the same speech comes from
the same lines in the same order.

Source: `speak_lib.h` of espeak-ng 1.52 (API revision 12).
"""

import base64
import ctypes
import json
import sys
from typing import Any, Final

_RETRIEVAL, _PHONEME_EVENTS, _DONT_EXIT = 1, 0x0001, 0x8000
_CHARACTERS, _UTF8 = 1, 1
_WORD, _PHONE = 1, 7
_PARAMETERS: Final = {"rate": 1, "pitch": 3, "range": 4}


class _Id(ctypes.Union):
    _fields_ = (
        ("number", ctypes.c_int),
        ("name", ctypes.c_char_p),
        ("string", ctypes.c_char * 8),
    )


class _Event(ctypes.Structure):
    _fields_ = (
        ("type", ctypes.c_int),
        ("unique_identifier", ctypes.c_uint),
        ("text_position", ctypes.c_int),
        ("length", ctypes.c_int),
        ("audio_position_ms", ctypes.c_int),
        ("sample", ctypes.c_int),
        ("user_data", ctypes.c_void_p),
        ("id", _Id),
    )


_Callback = ctypes.CFUNCTYPE(
    ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.POINTER(_Event)
)


class Espeak:
    """espeak-ng in this process."""

    def __init__(self, library: str, data: str) -> None:
        self._library = ctypes.CDLL(library)
        options = _PHONEME_EVENTS | _DONT_EXIT
        self._rate_hz = self._library.espeak_Initialize(_RETRIEVAL, 0, data.encode(), options)
        if self._rate_hz <= 0:
            raise SystemExit(f"espeak-ng cannot start with its data at {data}; reinstall the extra")
        self._pcm = bytearray()
        self._events: list[tuple[str, int, int, str]] = []
        self._callback = _Callback(self._take)
        self._library.espeak_SetSynthCallback(self._callback)

    def say(self, request: dict[str, Any]) -> dict[str, Any]:
        """Speaks one request; see the module for what comes back."""
        self._pcm.clear()
        self._events.clear()
        if self._library.espeak_SetVoiceByName(request["voice"].encode()) != 0:
            raise SystemExit(f"espeak-ng has no voice {request['voice']!r}")
        # Breathy voices hold noise, seeded anew by the clock in every process.
        self._library.espeak_ng_SetRandSeed(ctypes.c_long(1))
        for name, number in _PARAMETERS.items():
            self._library.espeak_SetParameter(number, request[name], 0)
        text = request["text"].encode() + b"\0"
        self._library.espeak_Synth(text, len(text), 0, _CHARACTERS, 0, _UTF8, None, None)
        self._library.espeak_Synchronize()
        pcm = base64.b64encode(self._pcm).decode()
        return {"rate_hz": self._rate_hz, "pcm": pcm, "events": self._events}

    def _take(self, samples: Any, n_samples: int, events: Any) -> int:
        if samples and n_samples > 0:
            self._pcm.extend(ctypes.string_at(samples, 2 * n_samples))
        i = 0
        while events[i].type:
            self._note(events[i])
            i += 1
        return 0

    def _note(self, event: _Event) -> None:
        if event.type in (_WORD, _PHONE):
            kind = "word" if event.type == _WORD else "phone"
            symbol = "" if event.type == _WORD else event.id.string.decode()
            self._events.append((kind, event.sample, event.text_position - 1, symbol))


def main() -> None:
    """Answers the lines of stdin until it ends."""
    import espeakng_loader

    espeak = Espeak(espeakng_loader.get_library_path(), espeakng_loader.get_data_path())
    for line in sys.stdin:
        print(json.dumps(espeak.say(json.loads(line))), flush=True)


if __name__ == "__main__":
    main()
