"""ffmpeg's arguments, from pure functions: lists only, no shell, and nothing but local files."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

from musetalk.media.filters import Resize, decode_filters, encode_filters, live_filters, set_tags, shrink_filters
from musetalk.media.frames import FrameLayout
from musetalk.media.seeking import Way
from musetalk.media.types import ColorTags, Conversion
from musetalk.settings import EncoderSettings

# Containers that hold their media themselves. Playlists, manifests, scripts and image patterns (hls, dash, concat,
# imf, avisynth, image2, ...) are left out: they make ffmpeg open other files.
CONTAINERS = (
    "aac,ac3,aiff,amr,ape,apng,asf,au,av1,avi,bmp_pipe,caf,dsf,dts,dtshd,dv,eac3,flac,flv,gif,gxf,h264,hevc,ircam,"
    "ivf,jpeg_pipe,loas,m4v,matroska,webm,mjpeg,mlp,mov,mp4,m4a,3gp,3g2,mj2,mp3,mpc,mpc8,mpeg,mpegts,mpegvideo,mpjpeg,"
    "mxf,nsv,nut,obu,ogg,oma,png_pipe,rm,shn,smjpeg,sox,tak,truehd,tta,vc1,vob,voc,vvc,w64,wav,webp_pipe,wtv,wv,"
    "yuv4mpegpipe"
)

LIVE_RATE = 48_000  # samples a second of live sound

# ffmpeg would queue eight raw frames on either side of a pipe, beside the ones that the pipeline holds.
_SHORT_QUEUE = ("-thread_queue_size", "1")

# What `decode_frames` says of its pictures on stderr: a time in millionths of a second, or NOPTS, then what came then.
PICTURE_TIME = re.compile(r"frame:\d+ +pts:(-?\d+|NOPTS)|(?:^|\W)(begun|shown)=1")

_KEYS_ALONE = "noise=drop=not(key)"  # demuxers that leave other packets out themselves are few

# What takes a codec's parameter sets, which say the size of pictures, out of its key frames.
_PARAMETER_SETS = {
    **{codec: f"{codec}_mp4toannexb,extract_extradata" for codec in ("h264", "hevc", "vvc")},
    **dict.fromkeys(("mpeg1video", "mpeg2video", "mpeg4", "vc1", "av1", "cavs"), "extract_extradata"),
}
# Sound begins at 0. Up to 0.1 s its timestamps are followed by playing 250 samples a second more or less, where they
# are off by more than containers round them; beyond that it is a gap, which is filled by silence.
_IN_TIME = "async=250:min_comp={rounded:g}:min_hard_comp=0.1:first_pts=0"
_RENEWED = ",asetpts=N/SR/TB"  # times that follow from the samples before


def file_url(path: Path) -> str:
    """Return a path as ffmpeg's file protocol: a leading dash, a colon or a percent sign in it means nothing."""
    return f"file:{path.absolute()}"


def read_input(path: Path, *, start: float | None = None, decoder: str | None = None) -> list[str]:
    """Open one untrusted local file, from `start` seconds.

    `decoder`: for its picture, in place of ffmpeg's own choice.
    """
    return [
        "-protocol_whitelist",
        "file,pipe",
        "-format_whitelist",
        CONTAINERS,
        *([] if start is None else ["-ss", f"{start:.6f}"]),
        *([] if decoder is None else ["-c:v", decoder]),
        "-i",
        file_url(path),
    ]


def _quiet(level: str = "error") -> list[str]:
    return ["-hide_banner", "-nostdin", "-nostats", "-loglevel", level]


def list_streams(path: Path, *, labelled: bool) -> list[str]:
    """Say on stderr what a file holds, and nothing else.

    `labelled`: with "[info] " or the like before what each message begins with, which is mostly a line.
    """
    level = "repeat+level+verbose" if labelled else "repeat+verbose"  # verbose: streams that are parts of a group, too
    return [*_quiet(level), *read_input(path)]


def _pick(*streams: int) -> list[str]:
    """Take these streams of the first input, by their indices in the file, and no others."""
    return [part for stream in streams for part in ("-map", f"0:{stream}")]


def first_frame(path: Path, stream: int, max_pixels: int, label: str, *, decoder: str | None = None) -> list[str]:
    """Decode one frame and describe it on stderr (showinfo); the frame itself goes nowhere.

    What it says begins with "[showinfo@LABEL ". `decoder`: in place of ffmpeg's own choice.
    """
    limit = ["-max_pixels", str(max_pixels)]
    tail = [*_pick(stream), "-vf", f"showinfo@{label}=checksum=0", "-frames:v", "1", "-f", "null", "-"]
    return [*_quiet("info"), *limit, *read_input(path, decoder=decoder), *tail]


def show_key_frames(
    path: Path, stream: int, max_pixels: int, label: str, *, start: float = 0.0, frames: int | None = None
) -> list[str]:
    """As `first_frame`, of all key frames, or of the first ones from `start` seconds."""
    # Without delay: decoders of MPEG-2 lose what they hold back where the size changes.
    limit = ["-max_pixels", str(max_pixels), "-skip_frame:v", "nokey", "-flags:v", "low_delay"]
    count = [] if frames is None else ["-frames:v", str(frames)]
    tail = [*_pick(stream), "-vf", f"showinfo@{label}=checksum=0", "-fps_mode", "passthrough", *count]
    source = read_input(path, start=start if start > 0 else None)
    return [*_quiet("info"), *limit, *source, *tail, "-f", "null", "-"]


def look_at_fields(
    path: Path, stream: int, label: str, *, start: float, frames: int, size: tuple[int, int], decoder: str | None
) -> list[str]:
    """Give a few frames on stdout in grey, every line as stored, and say how each is marked as `first_frame` does."""
    grey = f"showinfo@{label}=checksum=0,format=gray,scale={size[0]}:{size[1]}:flags=neighbor"
    tail = [*_pick(stream), "-vf", grey, "-frames:v", str(frames), "-fps_mode", "passthrough"]
    source = read_input(path, start=start if start > 0 else None, decoder=decoder)
    return [*_quiet("info"), *source, *tail, "-f", "rawvideo", "-pix_fmt", "gray", "pipe:1"]


def read_alpha(path: Path, stream: int, *, start: float, frames: int, side: int, decoder: str | None) -> list[str]:
    """Give the alpha of a few frames on stdout, as grey squares of `side`."""
    alpha = f"alphaextract,scale={side}:{side}:flags=area,format=gray"
    tail = [*_pick(stream), "-vf", alpha, "-frames:v", str(frames), "-f", "rawvideo", "-pix_fmt", "gray", "pipe:1"]
    return [*_quiet(), *read_input(path, start=start if start > 0 else None, decoder=decoder), *tail]


def parameter_sets(path: Path, stream: int, codec: str) -> list[str] | None:
    """List key frames on stdout, with a checksum of their parameter sets, undecoded; None: `codec` has none."""
    if codec not in _PARAMETER_SETS:
        return None
    chain = f"{_KEYS_ALONE},{_PARAMETER_SETS[codec]}"
    copy = [*_pick(stream), "-c", "copy", "-bsf:v", chain, "-f", "framecrc", "pipe:1"]
    return [*_quiet(), "-discard:v", "nokey", *read_input(path), *copy]


def trace_key_frames(path: Path, stream: int, codec: str) -> list[str] | None:
    """List the fields of key frames' headers, undecoded, on stderr; None: of this codec they do not matter here."""
    if codec not in ("h264", "hevc", "mpeg2video"):
        return None
    chain = f"{_KEYS_ALONE},{_PARAMETER_SETS[codec].split(',')[0]},trace_headers"
    copy = [*_pick(stream), "-c", "copy", "-bsf:v", chain, "-f", "framecrc", "pipe:1"]
    return [*_quiet("info"), "-discard:v", "nokey", *read_input(path), *copy]


def key_frames(path: Path, stream: int) -> list[str]:
    """Give key frames of VP8 or VP9 on stdout, undecoded, in IVF."""
    copy = [*_pick(stream), "-c", "copy", "-bsf:v", _KEYS_ALONE, "-f", "ivf", "pipe:1"]
    return [*_quiet(), "-discard:v", "nokey", *read_input(path), *copy]


def try_filters(filters: str, color: ColorTags, pixel_format: str, *, vulkan: bool) -> list[str]:
    """Run a chain of filters on one grey picture, tagged and stored as given."""
    device = ["-init_hw_device", "vulkan"] if vulkan else []
    picture = f"color=gray:s=64x64,format={pixel_format},{set_tags(color)}"
    return [*_quiet(), *device, "-f", "lavfi", "-i", picture, "-vf", filters, "-frames:v", "1", "-f", "null", "-"]


def packet_times(path: Path, streams: Sequence[int], *, most: int | None = None) -> list[str]:
    """List the times of every packet of some streams, or of so many pictures (`most`), without decoding."""
    end = [] if most is None else ["-frames:v", str(most)]
    return [*_quiet(), *read_input(path), *_pick(*streams), *end, "-c", "copy", "-f", "framecrc", "pipe:1"]


def decode_frames(
    path: Path,
    stream: int,
    *,
    layout: FrameLayout,
    way: Way,
    resize: Resize | None = None,
    conversion: Conversion = Conversion(),  # noqa: B008 - frozen
    kept: tuple[FrameLayout, Path] | None = None,
    threads: int | None = None,
) -> list[str]:
    """Decode a stream's pictures to stdout, each once, upright, in a layout.

    Their times, counted from the file's beginning wherever decoding begins, are written to stderr before they are
    (see `PICTURE_TIME`): "shown"; and before these that of the first picture that was decoded: "begun".
    `resize` says how, where that is not the stored size: "area" averages (to shrink for detection), "bicubic" keeps
    detail (to square pixels). Else at most chroma is interpolated, for which bilinear is as good and a third cheaper.
    `kept`: a layout in which they are written to a file, too; then `resize` is about these, and what is given is made
    of them, by averaging. `threads`: of the decoder; None: ffmpeg's own choice.
    """
    device = ["-init_hw_device", "vulkan"] if conversion.on_vulkan else []
    first = [_say_time("begun", ":enable='eq(n,0)'"), *_dropped(way)]
    entry = [] if way.seek is None else ["-noaccurate_seek", "-copyts", "-start_at_zero"]
    bounded = [] if threads is None else ["-threads", str(threads)]
    opened = [*_quiet(), *device, *entry, *bounded, *read_input(path, start=way.seek, decoder=conversion.decoder)]
    if kept is None:
        filters = ",".join([*first, decode_filters(conversion, layout, resize), _say_time("shown")])
        return [*opened, *_pick(stream), "-vf", filters, *_raw_pictures(layout, "pipe:1")]
    whole, out = kept
    shared = ",".join([*first, decode_filters(conversion, whole, resize)])
    shrunk = ",".join([shrink_filters(layout), _say_time("shown")])
    return [
        *opened,
        *["-filter_complex", f"[0:{stream}]{shared},split[kept][whole];[whole]{shrunk}[given]"],
        *["-map", "[given]", *_raw_pictures(layout, "pipe:1")],
        *["-map", "[kept]", *_raw_pictures(whole, file_url(out)), "-y"],
    ]


def _raw_pictures(layout: FrameLayout, out: str) -> list[str]:
    times = ["-fps_mode", "passthrough", "-enc_time_base", "1:1000000", *_SHORT_QUEUE]
    return [*times, "-f", "rawvideo", "-pix_fmt", layout.pixel_format, out]


def _say_time(name: str, options: str = "") -> str:
    """Write on stderr, at once, when each picture is shown, in millionths of a second."""
    direct = rf":file=pipe\\:2:direct=1{options}"
    return f"settb=1/1000000,metadata=add:key={name}:value=1,metadata=print:key={name}{direct}"


def _dropped(way: Way) -> list[str]:
    if way.skip_seconds is not None:
        return [f"trim=start={way.skip_seconds:.6f}"]
    return [f"trim=start_frame={way.skip_pictures}"] if way.skip_pictures else []


def extract_sound(
    path: Path,
    stream: int,
    out: Path,
    label: str,
    *,
    start: float | None,
    seconds: float,
    priming: float = 0.0,
    timed: bool = True,
    renewed: bool = False,
    from_zero: bool = True,
    beside: int | None = None,
    rounded: float = 0.002,
) -> list[str]:
    """Write a sound stream as float WAV with all its channels, gaps in its timestamps filled by silence.

    Each time that the format of the sound becomes another one, and at its start, "[aresample@LABEL " begins a line on
    stderr that tells the format; the second time what is written is wrong, since the filling begins anew. Another one
    tells how much was left out because timestamps went back.

    Args:
        path: The file.
        stream: Which of its streams.
        out: The WAV file to make.
        label: See above.
        start: Where to begin, in seconds of the file; None: at its beginning.
        seconds: The most to write.
        priming: Seconds that are decoded before the sound begins.
        timed: Whether the timestamps count; else the samples follow each other.
        renewed: Whether they are so wrong that they must not even say where the end is.
        from_zero: Whether the earliest moment of the file counts as its beginning; else what its timestamps say is 0.
        beside: Another stream that may begin earlier: in broadcasts ffmpeg heeds only streams that are used.
        rounded: By how many seconds timestamps may be off and mean nothing.
    """
    filling = _IN_TIME.format(rounded=rounded) if timed else "async=0"
    return [
        *_quiet("level+verbose"),
        "-y",
        *([] if from_zero else ["-copyts"]),
        *_read_sound(path, start, priming),
        *[*_pick(stream), "-t", f"{seconds:.3f}"],
        *["-af", f"aresample@{label}={filling}{_RENEWED if renewed else ''}"],
        *["-c:a", "pcm_f32le", "-rf64", "auto", "-f", "wav", file_url(out)],
        *_used(beside, seconds),
    ]


def _read_sound(path: Path, start: float | None, priming: float) -> list[str]:
    """Open a file from `start` seconds of its sound, behind what is decoded before that begins (`priming`, seconds)."""
    if priming <= 0:
        return read_input(path, start=start)
    return ["-flags2", "+skip_manual", *read_input(path, start=(start or 0.0) + priming)]


def _used(stream: int | None, seconds: float) -> list[str]:
    """Return a second output that goes nowhere, for a stream to be used."""
    return [] if stream is None else [*_pick(stream), "-t", f"{seconds:.3f}", "-c", "copy", "-f", "null", "-"]


def unify_sound(
    path: Path,
    stream: int,
    out: Path,
    *,
    rate: int,
    channels: int,
    layout: str,
    start: float | None = None,
    seconds: float,
    priming: float = 0.0,
    timed: bool = True,
    renewed: bool = False,
    beside: int | None = None,
) -> list[str]:
    """Write a sound stream in one format, whatever its formats are inside: as float NUT with its timestamps, or WAV."""
    # What swresample makes of mono is 3 dB quieter; here it is the same on both sides.
    spread = (
        "aeval=val(0)|val(min(1\\,nb_in_channels-1)):c=stereo" if channels == 2 else f"aformat=channel_layouts={layout}"
    )
    return [
        *_quiet(),
        "-y",
        *_read_sound(path, start, priming),
        *[*_pick(stream), "-t", f"{seconds:.3f}"],
        *["-af", f"{spread},aformat=sample_rates={rate}{_RENEWED if renewed else ''}", "-c:a", "pcm_f32le"],
        *(["-f", "nut"] if timed else ["-rf64", "auto", "-f", "wav"]),
        file_url(out),
        *_used(beside, seconds),
    ]


def rate_text(fps: Fraction) -> str:
    """Return a rate as ffmpeg reads it: "30000/1001"."""
    return f"{fps.numerator}/{fps.denominator}"


@dataclass(frozen=True, slots=True)
class SoundTrack:
    """The sound of an output: the voice, and behind it the source's own sound.

    Attributes:
        voice: WAV of the voice.
        rate: Its sample rate in Hz.
        rest: WAV of a source's own sound, which follows the voice; or None.
        voice_seconds: Where the voice ends and the rest begins, in output time.
        rest_start: The moment of the rest that is heard there, in seconds.
        seconds: Length of the whole, in seconds.
    """

    voice: Path
    rate: int
    rest: Path | None
    voice_seconds: float
    rest_start: float
    seconds: float


def encode(
    out: Path,
    *,
    layout: FrameLayout,
    fps: Fraction,
    sound: SoundTrack,
    color: ColorTags,
    settings: EncoderSettings,
    comment: str,
    captions: Path | None = None,
    threads: int | None = None,
) -> list[str]:
    """Encode frames of a layout from stdin with a sound track, and captions if there are some, to a file."""
    return [
        *["-hide_banner", "-nostats", "-loglevel", "error", "-y"],
        *raw_frames(layout, fps),
        *sound_inputs(sound),
        *([] if captions is None else caption_input(captions)),
        *["-filter_complex", f"[0:v]{encode_filters(layout, color)}[v];{sound_filter(sound)}[a]"],
        *["-map", "[v]", "-map", "[a]"],
        *video_codec(settings, fps, threads),
        *["-c:a", "aac", "-b:a", f"{settings.audio_kbps}k"],
        *([] if captions is None else caption_track(out, 2 if sound.rest is None else 3)),
        *["-map_metadata", "-1", "-metadata", f"comment={comment}", "-movflags", "+faststart", file_url(out)],
    ]


def raw_frames(layout: FrameLayout, fps: Fraction) -> list[str]:
    """Open raw frames of a layout on stdin."""
    size = f"{layout.width}x{layout.height}"
    form = ["-f", "rawvideo", "-pix_fmt", layout.pixel_format, "-s", size, "-framerate", rate_text(fps)]
    return [*form, *_SHORT_QUEUE, "-i", "pipe:0"]


def video_codec(settings: EncoderSettings, fps: Fraction, threads: int | None = None) -> list[str]:
    """Return what encodes the picture; `threads`: of x264, None: its own choice."""
    most = settings.keyframe_seconds
    keys = [] if most is None else ["-g", str(max(1, round(most * fps)))]
    if settings.codec == "nvenc":
        return ["-c:v", "h264_nvenc", "-preset", "p4", "-rc", "vbr", "-cq", str(settings.crf), "-b:v", "0", *keys]
    bounded = [] if threads is None else ["-threads", str(threads)]
    return ["-c:v", "libx264", "-preset", settings.preset, "-crf", str(settings.crf), *keys, *bounded]


def caption_input(path: Path) -> list[str]:
    """Open a file of captions."""
    form = "webvtt" if path.suffix.lower() == ".vtt" else "srt"
    return ["-protocol_whitelist", "file", "-f", form, "-i", file_url(path)]


def caption_track(out: Path, number: int) -> list[str]:
    """Return what makes a track of an input that holds captions; none is shown before somebody asks for it."""
    codec = "srt" if out.suffix.lower() == ".mkv" else "mov_text"
    return ["-map", f"{number}:s:0", "-c:s", codec, "-disposition:s:0", "0"]


def sound_inputs(sound: SoundTrack) -> list[str]:
    """Open what is heard."""
    return [*read_input(sound.voice), *(read_input(sound.rest) if sound.rest else [])]


def sound_filter(sound: SoundTrack, first: int = 1) -> str:
    """Return the voice as it is; where a rest follows, that cut to the voice's end; silence where there is no more.

    `first`: which of the inputs the voice is; the rest is the one behind it.
    """
    rate = sound.rate if sound.rate in (44_100, 48_000) else 48_000  # what players expect of AAC
    voice = f"[{first}:a]aresample={rate}"
    if sound.seconds <= sound.voice_seconds:
        return voice
    end = f"apad=whole_dur={sound.seconds:.6f}"
    if sound.rest is None:
        return f"{voice},{end}"
    layout = f"aformat=sample_rates={rate}:channel_layouts=stereo"
    rest = f"[{first + 1}:a]atrim=start={max(0.0, sound.rest_start):.6f},asetpts=PTS-STARTPTS,{layout}[s2]"
    return f"{voice},{layout}[s1];{rest};[s1][s2]concat=n=2:v=0:a=1,atrim=end={sound.seconds:.6f},{end}"


def encode_trial(*, layout: FrameLayout, fps: Fraction, settings: EncoderSettings) -> list[str]:
    """Encode frames of a layout from stdin to nowhere, as `encode` would."""
    return [
        *["-hide_banner", "-nostats", "-loglevel", "error"],
        *raw_frames(layout, fps),
        *["-vf", encode_filters(layout, ColorTags()), *video_codec(settings, fps), "-f", "null", "-"],
    ]


def encode_copy(out: Path, *, layout: FrameLayout, fps: Fraction, sound: Path | None, seconds: float) -> list[str]:
    """Encode frames from stdin, with a WAV file cut to `seconds` if there is one, as MP4: quick and small."""
    heard = [] if sound is None else [*read_input(sound), "-t", f"{seconds:.3f}", "-c:a", "aac", "-b:a", "128k"]
    return [
        *["-hide_banner", "-nostats", "-loglevel", "error", "-y"],
        *raw_frames(layout, fps),
        *[*heard, "-vf", encode_filters(layout, ColorTags())],
        *["-c:v", "libx264", "-preset", "veryfast", "-crf", "26", "-movflags", "+faststart", file_url(out)],
    ]


def encode_lossless(out: Path, *, size: tuple[int, int], fps: Fraction) -> list[str]:
    """Encode RGB pictures from stdin so that every value comes back; a key frame a second."""
    return [
        *["-hide_banner", "-nostats", "-loglevel", "error", "-y"],
        *raw_frames(FrameLayout(*size), fps),
        *["-c:v", "libx264rgb", "-qp", "0", "-preset", "veryfast", "-g", str(max(1, round(fps)))],
        *["-map_metadata", "-1", file_url(out)],
    ]


@dataclass(frozen=True, slots=True)
class LiveQuality:
    """How live pictures and sound are encoded.

    Attributes:
        crf: Quality of the pictures, lower is better.
        max_kbps: The most that a second of pictures takes, in kbit/s, whatever the quality; None: no limit.
        preset: x264's.
        max_height: Higher pictures are made smaller, in their proportions; None: as large as they are.
        keyframe_seconds: The most between pictures that a player can begin with, where none is asked for.
        audio_kbps: Bit rate of the sound.
        threads: On which a picture is encoded.
    """

    crf: int = 23
    max_kbps: int | None = None
    preset: str = "veryfast"
    max_height: int | None = None
    keyframe_seconds: float = 2.0
    audio_kbps: int = 96
    threads: int = 1


def encode_live(*, layout: FrameLayout, fps: Fraction, quality: LiveQuality) -> list[str]:
    """Encode an AVI of raw frames of a layout, with mono sound, from stdin to two FLV in turns on stdout.

    The AVI counts half frames: of each frame one half is empty, and where that is the first one, the picture in the
    second one becomes a key frame. There is no other way to tell ffmpeg while it runs.

    No packet waits for what comes after it. A muxer of two streams holds a packet back until the other stream has one,
    too, or until a much later one is there; so one such is put there, of a third stream, which goes nowhere.
    """
    limit = quality.max_kbps
    bounded = [] if limit is None else ["-maxrate", f"{limit}k", "-bufsize", f"{max(1, limit // 2)}k"]
    flv = "f=flv:flush_packets=1:flvflags=no_duration_filesize"
    return [
        *["-hide_banner", "-nostats", "-loglevel", "error"],
        *["-flags", "low_delay", "-probesize", "32", "-analyzeduration", "0"],
        *["-f", "avi", "-c:v", "rawvideo", *_SHORT_QUEUE, "-i", "pipe:0"],
        *["-itsoffset", "1000000000", "-f", "lavfi", "-i", "anullsrc=duration=0.02"],
        *["-map", "0:v", "-map", "0:a", "-map", "1:a", "-max_interleave_delta", "1"],
        *["-vf", live_filters(layout, quality.max_height), "-fps_mode", "passthrough"],
        *["-c:v", "libx264", "-preset", quality.preset, "-tune", "zerolatency", "-threads:v", str(quality.threads)],
        *["-crf", str(quality.crf), *bounded, "-x264-params", f"fps={rate_text(fps)}"],  # and not of half frames
        *["-g", str(max(1, round(quality.keyframe_seconds * fps)))],
        *["-force_key_frames", f"expr:eq(mod(round(t*2*{rate_text(fps)}),2),1)"],
        *["-c:a:0", "aac", "-b:a:0", f"{quality.audio_kbps}k", "-ar:a:0", str(LIVE_RATE), "-ac:a:0", "1"],
        *["-flags:v", "+global_header", "-flags:a:0", "+global_header", "-c:a:1", "pcm_s16le"],
        *["-f", "tee", f"[select=0:{flv}]pipe\\:1|[select=1:{flv}]pipe\\:1|[select=2:f=null]-"],
    ]


def encode_flac(sound: Path, out: Path) -> list[str]:
    """Encode a WAV file as FLAC with 16 bits a sample."""
    return [*_quiet(), "-y", *read_input(sound), "-c:a", "flac", "-sample_fmt", "s16", file_url(out)]
