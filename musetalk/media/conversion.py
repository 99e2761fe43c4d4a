"""The conversion that a video's pictures need (deinterlacing, HDR, alpha, sizes), from a few samples."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

from musetalk.media import colors, filters, sampling
from musetalk.media.containers.first_picture import FirstPicture, look_at_first
from musetalk.media.sampling import Video
from musetalk.media.types import ColorTags, Conversion, Deinterlacing, ToneMapping
from musetalk.settings import Background, Deinterlace

_ALPHA_DECODERS = {"vp8": "libvpx", "vp9": "libvpx-vp9"}  # ffmpeg's own do not look at the alpha beside the picture
_TRANSFERS = {"smpte2084": "PQ", "arib-std-b67": "HLG"}
_USUAL_PEAK = 1000.0  # cd/m², where a file does not say: what most HDR is graded for, and HLG's nominal peak
_PEAKS = (300.0, 10_000.0)  # believable ones
_RARELY_COMBED = 0.05  # pictures that look combed among those of a video whose pictures are whole
_ENOUGH = 6  # pictures that moved, for a verdict on what the flags say
_CLEARLY = 4  # times as many pictures of one field order as of the other
_MAY_MIX = frozenset({"mpegts", "mpeg", "mxf"})  # containers of recorded television: its shows are of either kind


@dataclass(frozen=True, slots=True)
class Converted:
    """What is done to a video, and what comes of it.

    Attributes:
        conversion: What is done.
        first: Its first picture, as the decoder that is used gives it.
        size: (width, height) of all pictures then.
        output_color: Color tags of an output that looks the same.
        notes: What is changed, a sentence each.
    """

    conversion: Conversion
    first: FirstPicture
    size: tuple[int, int]
    output_color: ColorTags
    notes: tuple[str, ...]


def plan_conversion(
    video: Video, first: FirstPicture, *, deinterlace: Deinterlace, background: Background
) -> Converted:
    """Decide what is done to a video's pictures: nothing at all, mostly.

    Args:
        video: The video.
        first: Its first picture, as ffmpeg's own choice of a decoder gives it.
        deinterlace: "auto": what is marked as interlaced and looks it; or "on", "off".
        background: What is laid under transparent parts.
    """
    notes: list[str] = []
    conversion, first = _with_alpha(video, first, background, notes)
    conversion = replace(conversion, deinterlacing=_deinterlacing(video, first, conversion, deinterlace, notes))
    sizes, shapes = sampling.picture_sizes(video, first.seen)
    size = max(sizes, key=lambda each: each[0] * each[1])
    if len(sizes) > 1:
        conversion = replace(conversion, letterbox=True, shapes=shapes)
        notes.append(_size_note(sizes, size))
    conversion, output_color = _with_colors(video, first, conversion, size, notes)
    return Converted(conversion, first, size, output_color, tuple(notes))


def _size_note(sizes: tuple[tuple[int, int], ...], size: tuple[int, int]) -> str:
    said = ", ".join(f"{width}x{height}" for width, height in sizes)
    return (
        f"the pictures of the source change their size ({said}); the output has {size[0]}x{size[1]}: the others are "
        "scaled to fit, with black bars where their shape differs"
    )


def _with_alpha(
    video: Video, first: FirstPicture, background: Background, notes: list[str]
) -> tuple[Conversion, FirstPicture]:
    decoder = _ALPHA_DECODERS.get(first.stream.codec) if first.stream.alpha_beside else None
    if decoder is not None:
        seen, _ = look_at_first(video.path, video.stream, video.max_pixels, decoder=decoder, cancel=video.cancel)
        if seen is None or not colors.has_alpha(seen.pixel_format):
            notes.append(
                "the source has transparent parts, which this ffmpeg cannot read (it lacks "
                f"{decoder}): what lies hidden under them shows"
            )
            return Conversion(), first
        first = seen
    if not colors.has_alpha(first.pixel_format):
        return Conversion(), first
    if sampling.is_transparent(video, decoder):
        notes.append(f"transparent parts of the source are laid over {background} (alpha_background)")
    return Conversion(decoder=decoder, background=background, premultiplied=first.premultiplied), first


def _deinterlacing(
    video: Video, first: FirstPicture, conversion: Conversion, deinterlace: Deinterlace, notes: list[str]
) -> Deinterlacing | None:
    mixed = bool(_MAY_MIX & set(video.containers)) and first.stream.codec in ("mpeg2video", "h264", "vc1")
    if deinterlace == "off" or (deinterlace == "auto" and not first.interlaced and not mixed):
        if first.interlaced:
            notes.append("the source is interlaced and stays so (deinterlace: off): moving edges show as combs")
        return None
    fields = sampling.look_at_fields(video, first.upright, conversion.decoder)
    marked = first.interlaced or fields.marked > 0
    if deinterlace == "auto" and not marked:
        return None
    if deinterlace == "auto" and fields.whole >= _ENOUGH and fields.combed <= _RARELY_COMBED * fields.whole:
        notes.append(
            "the source is marked as interlaced, but its pictures are whole: they are left as they are "
            "(deinterlace: on changes that)"
        )
        return None
    parity: Literal["auto", "tff", "bff"] = "auto"
    if fields.top_first > _CLEARLY * fields.bottom_first and fields.top_first >= _ENOUGH:
        parity = "tff"
    elif fields.bottom_first > _CLEARLY * fields.top_first and fields.bottom_first >= _ENOUGH:
        parity = "bff"
    order = {"auto": "", "tff": ", top field first", "bff": ", bottom field first"}[parity]
    what = "the source is interlaced" if marked else "the source was taken for interlaced, as asked"
    notes.append(f"{what}{order}: it was deinterlaced (bwdif), one frame for each picture")
    return Deinterlacing(parity, only_marked=deinterlace == "auto")


def _with_colors(
    video: Video, first: FirstPicture, conversion: Conversion, size: tuple[int, int], notes: list[str]
) -> tuple[Conversion, ColorTags]:
    stored = first.color
    if stored.transfer in _TRANSFERS or first.dolby_only:
        mapping = _tone_mapping(video, first)
        if mapping is not None:
            name = _TRANSFERS.get(stored.transfer or "", "PQ")
            kind = "Dolby Vision" if first.dolby_only else name
            notes.append(f"the source is HDR ({kind}); it was tone-mapped to SDR, BT.709 ({mapping.filter})")
            return replace(conversion, tone_mapping=mapping), colors.SDR
        notes.append(_no_tone_mapping(first))
    known = stored.space is None or stored.space in colors.SWSCALE_MATRICES
    if colors.has_matrix(first.pixel_format) and not known:
        if sampling.works(filters.BY_ZSCALE, first, video.cancel):
            conversion = replace(conversion, by_zscale=True)
        else:
            notes.append(
                f"the colours of the source are stored as {stored.space}, which this ffmpeg cannot read: they will be "
                "wrong (convert it to BT.709 first)"
            )
            conversion = replace(conversion, matrix=colors.assumed_matrix(*first.stored))
    matrix = None
    if colors.has_matrix(first.pixel_format) and stored.space is None:
        assumed = colors.assumed_matrix(*first.stored)
        conversion = replace(conversion, matrix=assumed)
        # Players guess by size: what is not as large as it was must say what it is.
        matrix = assumed if first.stored != filters.encoded_size(size) else None
    return conversion, colors.output_tags(stored, first.pixel_format, matrix)


def _tone_mapping(video: Video, first: FirstPicture) -> ToneMapping | None:
    """Return how this ffmpeg can tone-map.

    None: not at all. Without need of Dolby's processing zscale, which needs no GPU.
    """
    lowest, highest = _PEAKS
    peak = first.peak if first.peak and lowest <= first.peak <= highest else _USUAL_PEAK
    choices: tuple[Literal["zscale", "libplacebo"], ...] = (
        ("libplacebo",) if first.dolby_only else ("zscale", "libplacebo")
    )
    for choice in choices:
        mapping = ToneMapping(choice, first.color, peak)
        if sampling.works(
            ",".join(filters.tone_map_filters(mapping)), first, video.cancel, vulkan=choice == "libplacebo"
        ):
            return mapping
    return None


def _no_tone_mapping(first: FirstPicture) -> str:
    if first.dolby_only:
        return (
            "the source is Dolby Vision of a kind (profile 5) that only libplacebo on Vulkan can read, which is not "
            "to be had here: its colours are wrong; export it as SDR or HDR10"
        )
    name = _TRANSFERS.get(first.color.transfer or "", "PQ")
    return (
        f"the source is HDR ({name}), and this ffmpeg cannot tone-map it (that takes zscale or libplacebo): the output "
        "keeps its colour tags but has 8 bits a channel"
    )
