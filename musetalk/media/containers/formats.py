"""File formats by their first bytes, since names and suffixes may be wrong."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from musetalk.media.containers.boxes import boxes

_HEAD_BYTES = 1024
IMAGE_SUFFIXES = frozenset(
    {
        *(".png", ".apng", ".jpg", ".jpeg", ".jpe", ".jfif", ".webp", ".gif", ".bmp", ".dib", ".tif", ".tiff"),
        *(".heic", ".heif", ".hif", ".heics", ".avif", ".avifs", ".ico", ".jp2", ".j2k", ".psd", ".tga", ".qoi"),
        *(".ppm", ".pgm", ".pbm", ".pnm"),
    }
)
_RAW_SUFFIXES = frozenset(
    {
        *(".dng", ".cr2", ".cr3", ".crw", ".nef", ".nrw", ".arw", ".srf", ".sr2", ".orf", ".rw2", ".raf", ".pef"),
        *(".srw", ".3fr", ".erf", ".kdc", ".mrw", ".iiq", ".rwl", ".x3f"),
    }
)
_MOTION_JPEG = frozenset({".mjpeg", ".mjpg", ".mjpe"})  # a video that begins as a JPEG does


@dataclass(frozen=True, slots=True)
class PictureFormat:
    """A kind of picture file.

    Attributes:
        name: Of the format; as Pillow calls it where it can be read.
        remedy: What to do with a file that cannot be read; empty: it can.
    """

    name: str
    remedy: str = ""

    @property
    def readable(self) -> bool:
        """Whether pictures of this format can be read here."""
        return not self.remedy


_SAVE = "save it as PNG or JPEG and give that"
_RAW = PictureFormat("camera raw", "develop it to JPEG, PNG or TIFF and give that")
_PSB, _JXL, _SVG, _PDF = (
    PictureFormat(name, _SAVE) for name in ("large Photoshop (PSB)", "JPEG XL", "SVG", "PDF or PostScript")
)

_SIGNATURES: tuple[tuple[int, bytes, PictureFormat], ...] = (
    (0, b"\x89PNG\r\n\x1a\n", PictureFormat("PNG")),
    (0, b"\xff\xd8\xff", PictureFormat("JPEG")),
    (0, b"GIF87a", PictureFormat("GIF")),
    (0, b"GIF89a", PictureFormat("GIF")),
    (8, b"WEBPVP8", PictureFormat("WEBP")),
    (8, b"CR\x02\x00", _RAW),  # Canon's raw begins as a TIFF does
    (0, b"II*\x00", PictureFormat("TIFF")),
    (0, b"MM\x00*", PictureFormat("TIFF")),
    (0, b"II+\x00", PictureFormat("TIFF")),  # more than 4 GiB
    (0, b"MM\x00+", PictureFormat("TIFF")),
    (0, b"8BPS\x00\x01", PictureFormat("PSD")),
    (0, b"8BPS\x00\x02", _PSB),
    (0, b"\x00\x00\x00\x0cjP  \r\n\x87\n", PictureFormat("JPEG2000")),
    (0, b"\xff\x4f\xff\x51", PictureFormat("JPEG2000")),
    (0, b"qoif", PictureFormat("QOI")),
    (0, b"\x00\x00\x00\x0cJXL \r\n\x87\n", _JXL),
    (0, b"\xff\x0a", _JXL),
    (0, b"FUJIFILMCCD-RAW", _RAW),
    (0, b"IIRO", _RAW),
    (0, b"IIRS", _RAW),
    (0, b"MMOR", _RAW),
    (0, b"IIU\x00", _RAW),
    (0, b"FOVb", _RAW),
    (0, b"%PDF-", _PDF),
    (0, b"%!PS", _PDF),
    *(
        (0, magic, PictureFormat(name, _SAVE))
        for magic, name in (
            (b"\x76\x2f\x31\x01", "OpenEXR"),
            (b"#?RADIANCE", "Radiance HDR"),
            (b"#?RGBE", "Radiance HDR"),
            (b"gimp xcf", "GIMP (XCF)"),
            (b"II\xbc\x01", "JPEG XR"),
            (b"DDS ", "DDS"),
            (b"\x8aMNG\r\n\x1a\n", "MNG"),
            (b"BPG\xfb", "BPG"),
            (b"AT&TFORM", "DjVu"),
            (b"icns", "ICNS"),
        )
    ),
)
_NETPBM = re.compile(rb"P[1-6]\s+(#[^\n]*\n|\s)*\d")
_BMP = re.compile(rb"BM.{4}\x00{4}.{4}[\x0c\x10\x28\x34\x38\x40\x6c\x7c]\x00\x00\x00", re.DOTALL)
_ICO = re.compile(rb"\x00\x00\x01\x00[\x01-\x40]\x00.{3}\x00[\x00\x01]\x00", re.DOTALL)
_SVG_TEXT = re.compile(rb"^(\xef\xbb\xbf)?\s*(<\?xml.*)?(<!--.*)?(<!DOCTYPE svg.*)?<svg[\s>]", re.DOTALL)
_HEIF_BRANDS = frozenset({b"heic", b"heix", b"heim", b"heis", b"mif1", b"mif2", b"avci", b"jpeg", b"j2ki"})


def picture_format(path: Path) -> PictureFormat | None:
    """Tell a picture's format from its first bytes; None: it is no picture, as far as they tell.

    Raises:
        OSError: The file cannot be read.
    """
    suffix = path.suffix.lower()
    with path.open("rb") as file:
        head = file.read(_HEAD_BYTES)
    found = next((kind for at, magic, kind in _SIGNATURES if head.startswith(magic, at)), None) or _rarer(head)
    if found is None:
        tga = suffix == ".tga" and len(head) > 18 and head[1] <= 1 and head[2] in (1, 2, 3, 9, 10, 11)
        return PictureFormat("TGA") if tga else None
    if found.name == "TIFF" and suffix in _RAW_SUFFIXES:
        return _RAW
    if found.name == "HEIF" and not _has_still(path):
        return None
    return None if found.name == "JPEG" and suffix in _MOTION_JPEG else found


def _has_still(path: Path) -> bool:
    """Return whether a HEIC file holds a still, and not only a sequence, which is a video."""
    with path.open("rb") as file:
        return next(boxes(file, (b"meta",), 0, path.stat().st_size), None) is not None


def _rarer(head: bytes) -> PictureFormat | None:
    if head[4:8] == b"ftyp":
        return _boxed(head)
    if _BMP.match(head):
        return PictureFormat("BMP")
    if _ICO.match(head):
        return PictureFormat("ICO")
    if _NETPBM.match(head):
        return PictureFormat("PPM")
    return _SVG if _SVG_TEXT.match(head) else None


def _boxed(head: bytes) -> PictureFormat | None:
    """Pictures in the container that MP4 has, by the brands that its first box lists; sequences of HEVC are videos."""
    size = int.from_bytes(head[:4], "big")
    major, brands = head[8:12], {head[at : at + 4] for at in range(16, min(size, len(head)) - 3, 4)}
    if major == b"crx ":
        return _RAW
    if major in (b"avif", b"avis") or (major in (b"mif1", b"msf1", b"miaf") and {b"avif", b"avis"} & brands):
        return PictureFormat("AVIF")
    return PictureFormat("HEIF") if major in _HEIF_BRANDS else None
