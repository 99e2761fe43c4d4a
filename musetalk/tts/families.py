"""Families of voices whose files the user brings, or downloads: which there are, what each needs, how it is loaded."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

from musetalk.tts.espeak_library import lacks_espeak
from musetalk.tts.spec import Reading, VoiceFamily, VoiceSpec
from musetalk.tts.types import TextToSpeech
from musetalk.weights.part_spec import Place
from musetalk.weights.voice_catalog import KOKORO_MODEL, KOKORO_STYLES, PIPER_VOICES, kokoro_style
from musetalk.weights.weight_file import WeightFile

_PIPER_NAME = re.compile(r"([a-z]{2,3})_([A-Z]{2})-(.+)-([a-z_]+)")
_KOKORO_LANGUAGES = {
    "a": ("en-us", "American English"),
    "b": ("en-gb", "British English"),
    "e": ("es", "Spanish"),
    "f": ("fr", "French"),
    "h": ("hi", "Hindi"),
    "i": ("it", "Italian"),
    "p": ("pt-br", "Brazilian Portuguese"),
}
# Of version 1.0; its Japanese and Mandarin voices (j, z) need readers that are not here.
_KOKORO_VOICES = (
    "af_heart af_alloy af_aoede af_bella af_jessica af_kore af_nicole af_nova af_river af_sarah af_sky am_adam am_echo "
    "am_eric am_fenrir am_liam am_michael am_onyx am_puck am_santa bf_alice bf_emma bf_isabella bf_lily bm_daniel "
    "bm_fable bm_george bm_lewis ef_dora em_alex em_santa ff_siwis hf_alpha hf_beta hm_omega hm_psi if_sara im_nicola "
    "pf_dora pm_alex pm_santa"
)


def _piper_voices(models_dir: Path) -> tuple[VoiceSpec, ...]:
    """Return the published voices that are known here, and those that lie in the folder `piper`."""
    own = sorted(path.name.removesuffix(".onnx") for path in (models_dir / "piper").glob("*.onnx"))
    return tuple(_piper_voice(name, models_dir) for name in dict.fromkeys((*PIPER_VOICES, *own)))


def _piper_voice(name: str, models_dir: Path) -> VoiceSpec:
    found = _PIPER_NAME.fullmatch(name)
    title = f"{found[3]}, {found[1]}_{found[2]} (Piper, {found[4]})" if found else f"{name} (Piper)"
    return VoiceSpec(
        f"piper:{name}",
        title,
        (),  # the file beside it says which it speaks
        partial(_load_piper, name),
        weights=PIPER_VOICES.get(name, ()),
        missing=lacks_espeak if name in PIPER_VOICES else partial(_own_piper_lacks, name, models_dir),
    )


def _own_piper_lacks(name: str, models_dir: Path) -> tuple[str, ...]:
    """Return what a voice lacks whose ONNX file somebody put there."""
    config = models_dir / "piper" / f"{name}.onnx.json"
    beside = () if config.is_file() else (f"piper/{config.name} is missing: it comes with the voice, put it beside",)
    return (*beside, *lacks_espeak())


def _load_piper(name: str, reading: Reading, place: Place) -> TextToSpeech:
    from musetalk.tts.piper import PiperVoice  # noqa: PLC0415

    return PiperVoice(place.models_dir / "piper" / f"{name}.onnx", reading.language, reading.speed)


def _kokoro_voices(_models_dir: Path) -> tuple[VoiceSpec, ...]:
    return tuple(map(_kokoro_voice, _KOKORO_VOICES.split()))


def _kokoro_voice(name: str) -> VoiceSpec:
    language, title = _KOKORO_LANGUAGES[name[0]]
    files = (KOKORO_MODEL, replace(KOKORO_STYLES, alternatives=(kokoro_style(name),)))
    load: Callable[[Reading, Place], TextToSpeech] = partial(_load_kokoro, name, language, files)
    return VoiceSpec(
        f"kokoro:{name}",
        f"{name[3:].capitalize()}, {title} (Kokoro)",
        (language,),
        load,
        weights=files,
        weight_set="kokoro",
        missing=tuple if language == "en-us" else lacks_espeak,
    )


def _load_kokoro(
    name: str, language: str, files: tuple[WeightFile, WeightFile], reading: Reading, place: Place
) -> TextToSpeech:
    from musetalk.tts.kokoro import KokoroVoice  # noqa: PLC0415

    model, styles = (place.models_dir / (file.present(place.models_dir) or file).path for file in files)
    return KokoroVoice(model, styles, name, language, reading.speed)


PIPER = VoiceFamily(
    "piper",
    "Piper's voices, by file",
    _piper_voices,
    "put its two files, NAME.onnx and NAME.onnx.json, into the folder piper of the models, or take one that "
    "python -m musetalk weights list names",
)
KOKORO = VoiceFamily(
    "kokoro",
    "Kokoro's voices",
    _kokoro_voices,
    f"choose one of: {_KOKORO_VOICES.replace(' ', ', ')}",
)
