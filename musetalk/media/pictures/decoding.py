"""Pictures opened and decoded: upright, in sRGB, nothing transparent."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Generator, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from PIL import (
    AvifImagePlugin,
    BmpImagePlugin,
    GifImagePlugin,
    IcoImagePlugin,
    Image,
    Jpeg2KImagePlugin,
    JpegImagePlugin,
    PngImagePlugin,
    PpmImagePlugin,
    PsdImagePlugin,
    QoiImagePlugin,
    TgaImagePlugin,
    TiffImagePlugin,
    WebPImagePlugin,
)

from musetalk.errors import MediaError, MuseTalkError
from musetalk.media.containers.boxes import png_may_be_turned
from musetalk.media.containers.formats import PictureFormat, picture_format
from musetalk.media.pictures.animation import read_canvases
from musetalk.media.pictures.code_points import code_points
from musetalk.media.pictures.srgb import Color, to_srgb
from musetalk.settings import Background
from musetalk.utils.arrays import UInt8Array


def _open_heif(path: Path) -> Image.Image:
    import pi_heif  # noqa: PLC0415 - loads a library of its own, for few files

    image: Image.Image = pi_heif.HeifImageFile(path)
    return image


# Called one by one, by what a file begins with: Pillow's own choice goes by names, too, and knows formats that start
# other programs. Stills alone: of files that hold more, the first picture, or the one that they call the main one.
_READERS: dict[str, Callable[[Path], Image.Image]] = {
    "PNG": PngImagePlugin.PngImageFile,
    "JPEG": JpegImagePlugin.JpegImageFile,
    "GIF": GifImagePlugin.GifImageFile,
    "WEBP": WebPImagePlugin.WebPImageFile,
    "BMP": BmpImagePlugin.BmpImageFile,
    "TIFF": TiffImagePlugin.TiffImageFile,
    "PSD": PsdImagePlugin.PsdImageFile,
    "ICO": IcoImagePlugin.IcoImageFile,
    "JPEG2000": Jpeg2KImagePlugin.Jpeg2KImageFile,
    "QOI": QoiImagePlugin.QoiImageFile,
    "PPM": PpmImagePlugin.PpmImageFile,
    "TGA": TgaImagePlugin.TgaImageFile,
    "AVIF": AvifImagePlugin.AvifImageFile,
    "HEIF": _open_heif,
}
_ORIENTATION = 0x0112  # of EXIF
_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
_SIDEWAYS = (5, 6, 7, 8)  # orientations that swap width and height
_DNG_VERSION, _SUBFILE_TYPE = 50706, 254  # tags of TIFF
RAW_REMEDY = "develop it to JPEG, PNG or TIFF and give that"


def format_of(path: Path) -> PictureFormat:
    """Return the format of a picture.

    Raises:
        MediaError: It is none, or of a format that cannot be read.
    """
    try:
        kind = picture_format(path)
    except OSError as error:
        raise MediaError(
            f'"{path.name}" cannot be opened ({error.strerror})',
            "check its name and permissions",
            path=path,
        ) from error
    if kind is None:
        raise MediaError(f'"{path.name}" cannot be read as a picture', "open it and save it again as PNG", path=path)
    if not kind.readable:
        raise MediaError(
            f'"{path.name}" is a picture of the kind {kind.name}, which cannot be read here', kind.remedy, path=path
        )
    return kind


@contextmanager
def reading(path: Path, what: str) -> Iterator[None]:
    """Turn whatever readers of pictures raise inside the block into a MediaError.

    Args:
        path: The picture.
        what: What is wrong with it then, as in "is damaged".
    """
    try:
        yield
    except MuseTalkError:
        raise
    except Exception as error:  # of damaged files, they raise all that Python knows
        raise MediaError(f'"{path.name}" {what}', "open it and save it again as PNG", path=path) from error


@contextmanager
def opened(path: Path) -> Iterator[Image.Image]:
    """Open a picture: its header is read, its pixels wait.

    Raises:
        MediaError: It is none, or of a format that cannot be read.
    """
    kind = format_of(path)
    with reading(path, "cannot be read as a picture"):
        image = _READERS[kind.name](path)
        image.info["code_points"] = points = code_points(path, image)
        if points is not None and kind.name == "PNG":
            image.info.pop("icc_profile", None)  # is for those who do not know the other
    with image:
        if isinstance(image, TiffImagePlugin.TiffImageFile) and _is_raw(image):
            raise MediaError(
                f'"{path.name}" is a camera\'s raw picture, which cannot be read here', RAW_REMEDY, path=path
            )
        yield image


def _is_raw(image: TiffImagePlugin.TiffImageFile) -> bool:
    """Return whether a TIFF is a camera's: its first picture is a preview of what it really holds."""
    tags = image.tag_v2
    return _DNG_VERSION in tags or bool(int(tags.get(_SUBFILE_TYPE) or 0) & 1)


def is_sideways(path: Path, image: Image.Image) -> bool:
    """Return whether a picture's size, as its header has it, is that of a picture that lies on its side.

    Args:
        path: The file.
        image: It, opened.
    """
    if image.format == "TIFF":  # Pillow turns these itself when they are loaded, and says their size upright
        return False
    if image.format == "PNG" and not png_may_be_turned(path):  # else Pillow decodes it to find out
        return False
    return _orientation(image) in _SIDEWAYS


def upright(image: Image.Image) -> Image.Image:
    """Return a picture as its EXIF says that it is to be seen."""
    image.load()
    turn = _TURNS.get(_orientation(image))
    if turn is None:
        return image
    turned = image.transpose(turn)
    turned.info = image.info
    return turned


def _orientation(image: Image.Image) -> int:
    try:
        return int(image.getexif().get(_ORIENTATION, 1))
    except Exception:  # noqa: BLE001  EXIF that cannot be read says nothing, and spoils no picture
        return 1


def read_image(path: Path, background: Background | Color = "white") -> UInt8Array:
    """Decode a picture: uint8 sRGB [H, W, 3], upright; `background` is what is laid under transparent parts.

    Raises:
        MediaError: It is damaged, or no picture.
    """
    with still(path) as image, reading(path, "is damaged"):
        return to_srgb(upright(image), background)


@contextmanager
def still(path: Path) -> Iterator[Image.Image]:
    """Open a picture, or the first frame of one that moves.

    Raises:
        MediaError: It is none, or of a format that cannot be read.
    """
    if format_of(path).name != "GIF":
        with opened(path) as image:
            yield image
        return
    with closing(read_canvases(path, "GIF")) as canvases:  # Pillow has another idea of what lies around a small frame
        with reading(path, "is damaged"):
            canvas = next(canvases)
        yield canvas


def read_animated(path: Path, background: Background, start: int = 0) -> Generator[UInt8Array, None, None]:
    """Decode an animation's frames from `start` on: uint8 sRGB [H, W, 3] each, upright. It ends before a damaged one.

    Raises:
        MediaError: The first of them is damaged.
    """
    name = format_of(path).name
    with opened(path) as image:
        colors: dict[str | tuple[int, int], object] = {
            name: image.info[name] for name in ("icc_profile", "code_points") if name in image.info
        }
    with closing(read_canvases(path, name, start)) as canvases:
        for number in itertools.count():
            try:
                with reading(path, "is damaged"):
                    canvas = next(canvases, None)
                    if canvas is None:
                        return
                    canvas.info |= colors
                    picture = to_srgb(upright(canvas), background)
            except MediaError:
                if number == 0:
                    raise
                return
            yield picture
