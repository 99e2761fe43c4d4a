"""ffmpeg's filters between stored pictures and frames: one chain, a pure function of what is known of the source."""

from __future__ import annotations

from dataclasses import replace
from typing import Literal

from musetalk.media.colors import SWSCALE_MATRICES, assumed_matrix
from musetalk.media.frames import FrameLayout
from musetalk.media.types import ColorTags, Conversion, Deinterlacing, PixelShape, ToneMapping

Resize = Literal["area", "bicubic"]

# Rounding that makes yuv -> rgb -> yuv all but lossless: mean luma error 0.001 levels, against 1.1 without.
_EXACT = "accurate_rnd+full_chroma_int"

# HDR to SDR. White of SDR programmes lies at 203 cd/m² (ITU-R BT.2408); up to 0.4 of it (in linear light, skin and
# most of a face) all stays as it is, above a Möbius curve bends to the source's peak. The curve is static: a picture
# does not depend on its neighbours. Colors are scaled as a whole, so hues stay.
WHITE_NITS = 203.0
_KNEE = 0.4

_ENCODED = "yuv420p"  # what every player shows
_LIVE = ColorTags("tv", "bt709", "bt709", "bt709")  # what browsers take for granted

_NEARLY = 0.001  # seconds, by which times are rounded

BY_ZSCALE = "zscale=matrix=gbr:range=full,format=gbrp"  # from any matrix, those that swscale does not know included


def decode_filters(conversion: Conversion, layout: FrameLayout, resize: Resize | None) -> str:
    """Return the chain from stored pictures to frames of a layout.

    Fields become pictures first, while their lines are where they were; alpha is resolved before colors of
    neighbouring pixels mix, so that hidden ones do not bleed in; bars come last, so that they are black.

    Args:
        conversion: What is to be done.
        layout: Of the result; planar where nothing but fields has to be converted: then samples stay as they are.
        resize: How, where its size is not the stored one: "area" averages, "bicubic" keeps detail.
    """
    size = (layout.width, layout.height)
    if layout.planar:
        fields = [] if conversion.deinterlacing is None else [_deinterlace(conversion.deinterlacing)]
        scaled = [] if resize is None else [_scale(conversion, size, resize)]
        # Where stored formats change on the way, what is shrunk is the same as what is kept and shrunk then.
        return ",".join([*fields, f"format={layout.pixel_format}", *scaled])
    steps = [] if conversion.matrix is None else [f"setparams=colorspace={conversion.matrix}"]
    if conversion.deinterlacing is not None:
        steps.append(_deinterlace(conversion.deinterlacing))
    if conversion.tone_mapping is not None:
        if resize == "area":
            steps.append(_scale(conversion, size, resize))  # the curve costs far more than shrinking
        steps.extend(tone_map_filters(conversion.tone_mapping))
    elif conversion.by_zscale:
        steps.append(BY_ZSCALE)
    if conversion.background is not None:
        steps.extend(_over_background(conversion))
    steps += [_scale(conversion, size, resize), "format=rgb24"]
    if conversion.letterbox:
        steps.append(f"pad={size[0]}:{size[1]}:(ow-iw)/2:(oh-ih)/2:eval=frame")
    return ",".join(steps)


def shrink_filters(layout: FrameLayout) -> str:
    """Return the chain from larger frames of a layout to those of its size, by averaging."""
    return f"scale={layout.width}:{layout.height}:flags=area,format={layout.pixel_format}"


def _deinterlace(fields: Deinterlacing) -> str:
    which = "interlaced" if fields.only_marked else "all"
    return f"bwdif=mode=send_frame:parity={fields.parity}:deint={which}"


def _scale(conversion: Conversion, size: tuple[int, int], resize: Resize | None) -> str:
    width, height = size
    flags = "area" if resize == "area" else f"{resize or 'bilinear'}+{_EXACT}"
    if not conversion.letterbox:
        return f"scale={width}:{height}:flags={flags}"
    # As large as fits, in the proportions that are seen: dar counts pixels that are not square, too.
    seen = _proportions(conversion.shapes)
    return (
        f"scale=w='min({width},round({height}*{seen}))':h='min({height},round({width}/{seen}))':eval=frame"
        f":flags={flags}"
    )


def _proportions(shapes: tuple[PixelShape, ...]) -> str:
    """Width to height of the picture at hand, as an expression."""
    if not shapes:
        return "dar"
    ratio = f"{float(shapes[0].ratio):.6f}"
    for shape in shapes[1:]:
        ratio = f"if(lt(t,{shape.start - _NEARLY:.6f}),{ratio},{float(shape.ratio):.6f})"
    return f"(iw/ih*{ratio})"


def _over_background(conversion: Conversion) -> list[str]:
    """Straight alpha over a plain color. Filters that weigh by alpha themselves round opaque pixels, too."""
    level = 255 if conversion.background == "white" else 0
    straight = ["setparams=alpha_mode=straight", "unpremultiply=inplace=1"] if conversion.premultiplied else []
    return [
        f"scale=flags=bilinear+{_EXACT}",
        *["format=gbrap", *straight],
        "split=3[whole][seen][plain];[whole]format=gbrp[colors];[seen]alphaextract,format=gbrp[alpha];"
        f"[plain]format=gbrp,lutrgb=r={level}:g={level}:b={level}[background];[background][colors][alpha]maskedmerge",
    ]


def tone_map_filters(mapping: ToneMapping) -> list[str]:
    """Return the steps from HDR to SDR in BT.709, as planar RGB of full range."""
    if mapping.filter == "libplacebo":
        return [
            f"libplacebo=tonemapping=mobius:tonemapping_param={_KNEE}:gamut_mode=clip:peak_detect=false"
            ":colorspace=gbr:color_primaries=bt709:color_trc=bt709:range=full:format=gbrp",
            "format=gbrp",
        ]
    said = mapping.color
    usual = ColorTags(said.range or "tv", said.space or "bt2020nc", said.primaries or "bt2020", said.transfer)
    # Approximated, HLG's system gamma would work on each channel alone and make colors too strong.
    exact = ["agamma=false"] if said.transfer == "arib-std-b67" else []
    linear = ":".join(["zscale=transfer=linear", f"npl={WHITE_NITS:g}", *exact])
    return [
        *([] if said == usual else [set_tags(usual)]),
        *[linear, "format=gbrpf32", "zscale=primaries=bt709"],
        f"tonemap=mobius:param={_KNEE}:desat=0:peak={mapping.peak / WHITE_NITS:.4f}",
        *["zscale=transfer=bt709:matrix=gbr:range=full", "format=gbrp"],
    ]


def encoded_size(size: tuple[int, int]) -> tuple[int, int]:
    """Return how large pictures of a size are in a file: 4:2:0 has no odd sides, so they grow by one pixel."""
    width, height = size
    return width + width % 2, height + height % 2


def encode_filters(layout: FrameLayout, color: ColorTags) -> str:
    """Return the chain from frames of a layout to what is encoded, tagged with `color`: 4:2:0 of 8 bits.

    Sides that grow (see `encoded_size`) do so by a pixel that repeats the edge. An untagged picture stays untagged,
    and is written as players will read it. Planes of 4:2:0 with 8 bits are encoded as they are.
    """
    steps = _grown(layout)
    if layout.planar:
        converted = [] if layout.pixel_format == _ENCODED else [f"scale=flags=bicubic+{_EXACT},format={_ENCODED}"]
        return ",".join([*steps, *converted, _tags(color)])
    matrix = color.space if color.space in SWSCALE_MATRICES else assumed_matrix(layout.width, layout.height)
    output_range = "pc" if color.range == "pc" else "tv"
    steps.append(f"scale=out_color_matrix={matrix}:out_range={output_range}:flags=bicubic+{_EXACT},format={_ENCODED}")
    return ",".join([*steps, _tags(color)])


def live_size(size: tuple[int, int], max_height: int | None) -> tuple[int, int]:
    """Return how large pictures of a size are sent: no higher than asked for, in the same proportions, sides even."""
    width, height = size
    if max_height is None or height <= max_height:
        return encoded_size(size)
    shown = max(2, max_height // 2 * 2)
    return max(2, 2 * round(width * shown / height / 2)), shown


def live_filters(layout: FrameLayout, max_height: int | None) -> str:
    """Return the chain from frames of a layout to what browsers expect: 4:2:0 of 8 bits, BT.709, limited range.

    Sides that are odd grow as in files (see `encode_filters`). What is smaller is made by averaging.
    """
    size = (layout.width, layout.height)
    shown = live_size(size, max_height)
    smaller = shown != encoded_size(size)
    grown = [] if smaller else _grown(layout)
    if not smaller and (layout.pixel_format, layout.matrix, layout.full_range) == (_ENCODED, "bt709", False):
        return ",".join([*grown, _tags(_LIVE)])
    stored = f":in_color_matrix={layout.matrix}:in_range={'pc' if layout.full_range else 'tv'}" if layout.planar else ""
    sides = f"{shown[0]}:{shown[1]}:flags=area" if smaller else "flags=bicubic"
    scale = f"scale={sides}+{_EXACT}{stored}:out_color_matrix=bt709:out_range=tv"
    return ",".join([*grown, scale, f"format={_ENCODED}", _tags(_LIVE)])


def _grown(layout: FrameLayout) -> list[str]:
    """Return the steps by which odd sides grow (see `encoded_size`) by a pixel that repeats the edge."""
    size = (layout.width, layout.height)
    grown = encoded_size(size)
    if grown == size:
        return []
    if layout.subsampling == (1, 1):
        return [_smeared(size, grown)]
    # `pad` leaves out the last column and row where pixels share chroma: so each plane grows by itself.
    names = ("luma", "blue", "red")
    stored = [(shape[1], shape[0]) for shape in layout.shapes]
    wanted = [grown, *[tuple(-(-side // step) for side, step in zip(grown, layout.subsampling, strict=True))] * 2]
    planes = [
        f"[{name}]{_smeared(before, (after[0], after[1]))}[{name}_grown]"
        for name, before, after in zip(names, stored, wanted, strict=True)
    ]
    order = ":".join(f"map{place}s={place}:map{place}p=0" for place in range(3))
    return [
        f"extractplanes=y+u+v{''.join(f'[{name}]' for name in names)};{';'.join(planes)};"
        f"{''.join(f'[{name}_grown]' for name in names)}mergeplanes={order}:format={layout.pixel_format}"
    ]


def _smeared(size: tuple[int, int], grown: tuple[int, int]) -> str:
    """Return the step from pictures of a size to larger ones, whose last pixels repeat the edge."""
    if grown == size:
        return "null"
    beyond = f"right={grown[0] - size[0]}:bottom={grown[1] - size[1]}"
    return f"pad={grown[0]}:{grown[1]},fillborders={beyond}:mode=smear"


def _tags(color: ColorTags) -> str:
    """Tags on the frames, from where the encoder takes them."""
    return set_tags(color if color.space in SWSCALE_MATRICES else replace(color, space=None))


def set_tags(color: ColorTags) -> str:
    """Return a filter that says what the numbers of its pictures mean, and changes none."""
    return (
        f"setparams=range={color.range or 'unspecified'}:color_primaries={color.primaries or 'unknown'}"
        f":color_trc={color.transfer or 'unknown'}:colorspace={color.space or 'unknown'}"
    )
