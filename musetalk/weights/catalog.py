"""The published files that this package's backends read.

Sizes and SHA-256 are those that several independent projects publish in their own manifests for the same commits; what
no two of them agree on is left open here, and comes from the hub's own answer at the first download. A hash that only
one of them gives is `unconfirmed`: a file that has another is used, and `verify` says so.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import PurePosixPath
from types import MappingProxyType

from musetalk.weights.voice_catalog import KOKORO, PIPER_VOICES
from musetalk.weights.weight_file import HubPlace, UrlPlace, WeightFile

_MUSETALK = "TMElyralab/MuseTalk", "2bcb936e2fddb4d86db4c62fd45b387d0c061571"
_VAE = "stabilityai/sd-vae-ft-mse", "31f26fdeee1355a5c34592e401dd41e45d25a493"
_WHISPER = "openai/whisper-tiny", "169d4a4341b33bc18d8881c4b69c2e104e1cc0af"
_PARSING = "ManyOtherFunctions/face-parse-bisent", "0073b233a5a3c4b1377d4dbf49245017938a72b5"
_LATENTSYNC = "ByteDance/LatentSync", "405eda8eab9f65c1a6e0c292a5dee5a08089e2ae"
_LATENTSYNC_15 = "ByteDance/LatentSync-1.5", "32a20d29aead0498e3e885e90dbbe8027da1b61b"
_LATENTSYNC_16 = "ByteDance/LatentSync-1.6", "c42c7e6c8e9c213626389fa7d9a3c444b8536353"
_TAESD = "madebyollin/taesd", "614f76814bbe30edbe2e627ace1c2234c81a2c0e"

_TAESD_CONFIG_SHA256 = "3ebefd1aa96ac474cc6430fe6ea81febccf7ee82461715691ee9315c884adeef"
_CONFIG_SHA256 = "5b6923aee04d71692e0e9846c471e0a4ea07a4f686d39545e472bd4ba17e1b47"  # of both versions' musetalk.json
_WHISPER_USED = ("model.encoder.", "encoder.")


def _hub(
    path: str,
    place: tuple[str, str],
    name: str,
    licence: str,
    size: int | None = None,
    sha256: str = "",
    *,
    alternatives: tuple[WeightFile, ...] = (),
    used: tuple[str, ...] = (),
    unconfirmed: str = "",
) -> WeightFile:
    repository, revision = place
    where = HubPlace(repository, name, revision)
    return WeightFile(PurePosixPath(path), where, licence, size, sha256, alternatives, used, unconfirmed)


_VAE_PICKLED = _hub(
    "sd-vae/diffusion_pytorch_model.bin",
    _VAE,
    "diffusion_pytorch_model.bin",
    "MIT",
    334_707_217,
    "1b4889b6b1d4ce7ae320a02dedaeff1780ad77d415ea0d744b476155c6377ddc",
)
_WHISPER_PICKLED = _hub(
    "whisper/pytorch_model.bin",
    _WHISPER,
    "pytorch_model.bin",
    "Apache-2.0",
    151_095_027,
    "9607f98a2b22d9e229ae43c52ecea79dcede9e0c5cfae67e8da6eda86d8aac1d",
    used=_WHISPER_USED,
)

SD_VAE = (
    _hub(
        "sd-vae/config.json",
        _VAE,
        "config.json",
        "MIT",
        547,
        "92d3dfb746fca211a2c9e019e285f8597412211728dce3c5bcf4eda0f2d62e7e",
    ),
    _hub(
        "sd-vae/diffusion_pytorch_model.safetensors",
        _VAE,
        "diffusion_pytorch_model.safetensors",
        "MIT",
        334_643_276,
        "a1d993488569e928462932c8c38a0760b874d166399b14414135bd9c42df5815",
        alternatives=(_VAE_PICKLED,),
    ),
)
# What decodes, of the same file: all of it that live speech takes. Nobody publishes it; `weights export` writes it.
SD_VAE_DECODER = WeightFile(
    PurePosixPath("sd-vae/decoder.safetensors"),
    SD_VAE[1].place,
    SD_VAE[1].licence,
    alternatives=(SD_VAE[1], _VAE_PICKLED),
    used=("decoder.", "post_quant_conv."),
)
WHISPER = (
    _hub(
        "whisper/config.json",
        _WHISPER,
        "config.json",
        "Apache-2.0",
        1_983,
        "ffdccec4f3211f4c63310f2b7098f309fe70f3952cedc5e4d11e43f5b2379b98",
    ),
    _hub(
        "whisper/preprocessor_config.json",
        _WHISPER,
        "preprocessor_config.json",
        "Apache-2.0",
        184_990,
        "9b5cd03a36fbb8a627c64d98a5b5b126ead95a77720723944487311f0110b666",
    ),
    _hub(
        "whisper/model.safetensors",
        _WHISPER,
        "model.safetensors",
        "Apache-2.0",
        151_061_672,
        "7ebd0e69e78190ffe1438491fa05cc1f5c1aa3a4c4db3bc1723adbb551ea2395",
        alternatives=(_WHISPER_PICKLED,),
        used=_WHISPER_USED,
    ),
)
FACE_PARSING = _hub(
    "face-parse-bisent/79999_iter.pth",
    _PARSING,
    "79999_iter.pth",
    "MIT",
    53_289_463,
    "468e13ca13a9b43cc0881a9f99083a430e9c0a38abd935431d1c28ee94b26567",
)
S3FD = _hub(
    "s3fd/s3fd-619a316812.pth",
    _LATENTSYNC,
    "auxiliary/s3fd-619a316812.pth",
    "BSD-3-Clause",
    89_843_225,
    "619a31681264d3f7f7fc7a16a42cbbe8b23f31a256f75a366e5a1bcd59b33543",
)
LANDMARKS = WeightFile(
    PurePosixPath("landmarks/2DFAN4-11f355bf06.pth.tar"),
    UrlPlace("https://www.adrianbulat.com/downloads/python-fan/2DFAN4-11f355bf06.pth.tar"),
    "BSD-3-Clause",
    sha256="11f355bf0693120222f5955ce3f9dc8fb5763ebb30a47d7906e509490d32e4aa",
)
YUNET = WeightFile(
    PurePosixPath("yunet/face_detection_yunet_2023mar.onnx"),
    UrlPlace(
        "https://github.com/opencv/opencv_zoo/raw/47534e27c9851bb1128ccc0102f1145e27f23f98/"
        "models/face_detection_yunet/face_detection_yunet_2023mar.onnx"
    ),
    "MIT",
    232_589,
    "8f2383e4dd3cfbb4553ea8718107fc0423210dc964f9f4280604804ed2552fa4",
)
OPTIONAL = (FACE_PARSING, S3FD)  # without them faces are found, and crops and masks drawn, by simpler means
_SHARED = (*SD_VAE, *WHISPER, FACE_PARSING, S3FD)

MUSETALK_V15 = (
    _hub("musetalkV15/musetalk.json", _MUSETALK, "musetalkV15/musetalk.json", "MIT", 748, _CONFIG_SHA256),
    _hub(
        "musetalkV15/unet.pth",
        _MUSETALK,
        "musetalkV15/unet.pth",
        "MIT",
        3_400_074_924,
        "7ebf6c98c181e20838e4c0054e96e944ac60d5d692cc01db42839fe11b787007",
    ),
    *_SHARED,
)
MUSETALK_V1 = (
    _hub("musetalk/musetalk.json", _MUSETALK, "musetalk/musetalk.json", "MIT", 748, _CONFIG_SHA256),
    _hub("musetalk/pytorch_model.bin", _MUSETALK, "musetalk/pytorch_model.bin", "MIT", 3_400_076_549),
    *_SHARED,
)
LATENTSYNC_15 = (
    _hub(
        "latentsync-1.5/latentsync_unet.pt",
        _LATENTSYNC_15,
        "latentsync_unet.pt",
        "OpenRAIL++",
        5_072_348_184,
        "6440b49a7ccceff56cdc001f5f17605216337f5bbd66fa360139768926e23f51",
    ),
    *_SHARED,
)
LATENTSYNC_16 = (
    _hub(
        "latentsync-1.6/latentsync_unet.pt",
        _LATENTSYNC_16,
        "latentsync_unet.pt",
        "OpenRAIL++",
        5_072_222_488,
        "0a478e89eb660f82da4c35dbdde8a5adfb27f99d1b4e50edd03729e1e98316d3",
    ),
    *_SHARED,
)
TAESD = (
    _hub("taesd/config.json", _TAESD, "config.json", "MIT", unconfirmed=_TAESD_CONFIG_SHA256),
    _hub(
        "taesd/diffusion_pytorch_model.safetensors",
        _TAESD,
        "diffusion_pytorch_model.safetensors",
        "MIT",
        9_793_292,
        "db169d69145ec4ff064e49d99c95fa05d3eb04ee453de35824a6d0f325513549",
        alternatives=(_hub("taesd/diffusion_pytorch_model.bin", _TAESD, "diffusion_pytorch_model.bin", "MIT"),),
    ),
)
GFPGAN = WeightFile(
    PurePosixPath("gfpgan/GFPGANv1.4.pth"),
    UrlPlace("https://github.com/TencentARC/GFPGAN/releases/download/v1.3.0/GFPGANv1.4.pth"),
    "Apache-2.0",
    348_632_874,
    "e2cd4703ab14f4d01fd1383a8a8b266f9a5833dacee8e6a79d3bf21a1b6be5ad",
)

# What `python -m musetalk weights` knows besides the files that registered backends name: taesd is no backend but the
# quick decoder that MuseTalk's can be told to use, faces what any backend may find and mask faces with, and gfpgan what
# may enhance the faces that any of them painted. Voices read scripts aloud.
WEIGHT_SETS: Mapping[str, tuple[WeightFile, ...]] = MappingProxyType(
    {
        "musetalk-v15": MUSETALK_V15,
        "musetalk-v1": MUSETALK_V1,
        "latentsync-1.5": LATENTSYNC_15,
        "latentsync-1.6": LATENTSYNC_16,
        "faces": OPTIONAL,
        "taesd": TAESD,
        "gfpgan": (GFPGAN,),
        "landmarks": (LANDMARKS,),
        "yunet": (YUNET,),
        **{f"piper:{name}": files for name, files in PIPER_VOICES.items()},
        "kokoro": KOKORO,
    }
)
