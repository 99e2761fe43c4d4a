"""The published files of voices that read texts aloud; sizes and hashes as `catalog` has them.

Licences are those that their cards name. Piper's voices are MIT as a collection; what a voice was learned from has a
licence of its own, and counts more.
"""

from __future__ import annotations

from pathlib import PurePosixPath

from musetalk.weights.weight_file import HubPlace, UrlPlace, WeightFile

_PIPER = "rhasspy/piper-voices", "c10ece1aade47bb51c153c893d14e5bf8e5b7117"
_KOKORO_ONNX = "https://github.com/thewh1teagle/kokoro-onnx/releases/download/model-files-v1.0"
_KOKORO_HUB = "onnx-community/Kokoro-82M-v1.0-ONNX", "1939ad2a8e416c0acfeecc08a694d14ef25f2231"
_PIPER_SIZE = 63_201_294  # of all voices of medium quality with one speaker


def _piper(name: str, licence: str, sha256: str, config_size: int, config_sha256: str) -> tuple[WeightFile, ...]:
    language, speaker, quality = name.split("-")
    folder = f"{language.partition('_')[0]}/{language}/{speaker}/{quality}"

    def file(name: str, size: int, sha256: str) -> WeightFile:
        place = HubPlace(_PIPER[0], f"{folder}/{name}", _PIPER[1])
        return WeightFile(PurePosixPath("piper", name), place, licence, size, sha256)

    return file(f"{name}.onnx", _PIPER_SIZE, sha256), file(f"{name}.onnx.json", config_size, config_sha256)


PIPER_VOICES: dict[str, tuple[WeightFile, ...]] = {
    "en_US-lessac-medium": _piper(
        "en_US-lessac-medium",
        "MIT; data for research",
        "5efe09e69902187827af646e1a6e9d269dee769f9877d17b16b1b46eeaaf019f",
        4_885,
        "efe19c417bed055f2d69908248c6ba650fa135bc868b0e6abb3da181dab690a0",
    ),
    "en_US-joe-medium": _piper(
        "en_US-joe-medium",
        "CC0; refined from lessac",
        "58afce0321b8d9c46d7cdf9c16500cc55a793b4220212dba6b70fb788b3baf06",
        4_794,
        "3d6d5410b3795cb1950595247ef8f06190719e6fdbfa3a2356d8ec368e1aad33",
    ),
    "de_DE-thorsten-medium": _piper(
        "de_DE-thorsten-medium",
        "CC0; refined from lessac",
        "7e64762d8e5118bb578f2eea6207e1a35a8e0c30595010b666f983fc87bb7819",
        4_819,
        "974adee790533adb273a1ac88f49027d2a1b8f0f2cf4905954a4791e79264e85",
    ),
    "fr_FR-siwis-medium": _piper(
        "fr_FR-siwis-medium",
        "CC BY 4.0",
        "641d1ab097da2b81128c076810edb052b385decc8be3381814802a64a73baf99",
        4_875,
        "39479916c2db192b5ac9764daddd0c744d83e023ad890c6976c0633ae4df8959",
    ),
}


def _release(name: str, size: int | None, sha256: str, *alternatives: WeightFile) -> WeightFile:
    place = UrlPlace(f"{_KOKORO_ONNX}/{name}")
    return WeightFile(PurePosixPath("kokoro", name), place, "Apache-2.0", size, sha256, alternatives)


def _community(path: str, size: int | None) -> WeightFile:
    return WeightFile(PurePosixPath("kokoro", path), HubPlace(_KOKORO_HUB[0], path, _KOKORO_HUB[1]), "Apache-2.0", size)


KOKORO_MODEL = _release(
    "kokoro-v1.0.onnx",
    325_532_387,
    "7d5df8ecf7d4b1878015a32686053fd0eebe2bc377234608764cc0ef3636a6c5",
    _release("kokoro-v1.0.fp16.onnx", None, "c1610a859f3bdea01107e73e50100685af38fff88f5cd8e5c56df109ec880204"),
    _release("kokoro-v1.0.int8.onnx", 92_361_271, "6e742170d309016e5891a994e1ce1559c702a2ccd0075e67ef7157974f6406cb"),
    _community("onnx/model.onnx", None),
)
KOKORO_STYLES = _release(
    "voices-v1.0.bin", 28_214_398, "bca610b8308e8d99f32e6fe4197e7ec01679264efed0cac9140fe9c29f1fbf7d"
)
KOKORO = (KOKORO_MODEL, KOKORO_STYLES)


def kokoro_style(name: str) -> WeightFile:
    """Return the file of one voice's styles alone, as another publisher has it."""
    return _community(f"voices/{name}.bin", 522_240)
