"""ffmpeg's arguments to the letter: what is typed here is what runs."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

from musetalk.media import ffmpeg_commands
from musetalk.media.ffmpeg_commands import CONTAINERS, SoundTrack
from musetalk.media.frames import FrameLayout
from musetalk.media.seeking import Way
from musetalk.media.types import ColorTags
from musetalk.settings import EncoderSettings

GUARD = ["-protocol_whitelist", "file,pipe", "-format_whitelist", CONTAINERS]
QUIET = ["-hide_banner", "-nostdin", "-nostats", "-loglevel", "error"]


def test_names_are_absolute_file_urls(monkeypatch: object) -> None:
    assert ffmpeg_commands.file_url(Path("/videos/-a %03d:b.mp4")) == "file:/videos/-a %03d:b.mp4"
    assert ffmpeg_commands.file_url(Path("-x.mp4")).startswith("file:/")


def test_lists_and_scripts_are_not_among_the_containers() -> None:
    allowed = set(CONTAINERS.split(","))
    assert not allowed & {
        "hls",
        "applehttp",
        "concat",
        "concatf",
        "dash",
        "imf",
        "avisynth",
        "image2",
        "lavfi",
        "sdp",
        "rtsp",
        "webm_dash_manifest",
        "tedcaptions",
        "ffmetadata",
        "vapoursynth",
        "libopenmpt",
        "libgme",
    }


def test_decoding() -> None:
    tail = ["-fps_mode", "passthrough", "-enc_time_base", "1:1000000", "-thread_queue_size", "1",
            "-f", "rawvideo", "-pix_fmt", "rgb24", "pipe:1"]  # fmt: skip
    begun, shown = (
        f"settb=1/1000000,metadata=add:key={name}:value=1,metadata=print:key={name}:file=pipe\\\\:2:direct=1"
        for name in ("begun", "shown")
    )
    begun += ":enable='eq(n,0)'"
    exact = f"{begun},scale=704:1216:flags=bilinear+accurate_rnd+full_chroma_int,format=rgb24,{shown}"
    assert ffmpeg_commands.decode_frames(Path("/a.mp4"), 0, layout=FrameLayout(704, 1216), way=Way()) == [
        *QUIET, *GUARD, "-i", "file:/a.mp4", "-map", "0:0", "-vf", exact, *tail
    ]  # fmt: skip
    way = Way(seek=1.5, begins_by=30, skip_seconds=1.98)
    assert ffmpeg_commands.decode_frames(Path("/a.mp4"), 2, layout=FrameLayout(278, 480), way=way, resize="area") == [
        *QUIET, "-noaccurate_seek", "-copyts", "-start_at_zero", *GUARD, "-ss", "1.500000", "-i", "file:/a.mp4",
        "-map", "0:2", "-vf", f"{begun},trim=start=1.980000,scale=278:480:flags=area,format=rgb24,{shown}", *tail
    ]  # fmt: skip
    counted = ffmpeg_commands.decode_frames(Path("/a.h264"), 0, layout=FrameLayout(704, 1216), way=Way(skip_pictures=7))
    assert ",trim=start_frame=7," in counted[counted.index("-vf") + 1]


def test_key_frames_come_as_often_as_asked() -> None:
    fps = Fraction(30000, 1001)
    for settings, most in (
        (EncoderSettings(), None),
        (EncoderSettings(keyframe_seconds=0.4), "12"),
        (EncoderSettings(keyframe_seconds=0.001), "1"),
        (EncoderSettings(codec="nvenc", keyframe_seconds=2), "60"),
    ):
        arguments = ffmpeg_commands.encode_trial(layout=FrameLayout(64, 64), fps=fps, settings=settings)
        assert (arguments[arguments.index("-g") + 1] if "-g" in arguments else None) == most


def test_encoding() -> None:
    sound = SoundTrack(Path("/job/voice.wav"), 16_000, None, 2.0, 0.0, 2.0)
    arguments = ffmpeg_commands.encode(
        Path("/job/partial.mp4"),
        layout=FrameLayout(355, 473),
        fps=Fraction(30000, 1001),
        sound=sound,
        color=ColorTags("tv", "bt709", "bt709", "bt709"),
        settings=EncoderSettings(crf=20, preset="fast"),
        comment="note",
    )
    picture = (
        "[0:v]pad=356:474,fillborders=right=1:bottom=1:mode=smear,"
        "scale=out_color_matrix=bt709:out_range=tv:flags=bicubic+accurate_rnd+full_chroma_int,format=yuv420p,"
        "setparams=range=tv:color_primaries=bt709:color_trc=bt709:colorspace=bt709[v]"
    )
    assert arguments == [
        "-hide_banner", "-nostats", "-loglevel", "error", "-y",
        "-f", "rawvideo", "-pix_fmt", "rgb24", "-s", "355x473", "-framerate", "30000/1001",
        "-thread_queue_size", "1", "-i", "pipe:0",
        *GUARD, "-i", "file:/job/voice.wav",
        "-filter_complex", f"{picture};[1:a]aresample=48000[a]",
        "-map", "[v]", "-map", "[a]", "-c:v", "libx264", "-preset", "fast", "-crf", "20",
        "-c:a", "aac", "-b:a", "192k", "-map_metadata", "-1", "-metadata", "comment=note",
        "-movflags", "+faststart", "file:/job/partial.mp4",
    ]  # fmt: skip


def test_nvenc_only_when_asked() -> None:
    settings = EncoderSettings(codec="nvenc", crf=23)
    trial = ffmpeg_commands.encode_trial(layout=FrameLayout(64, 48), fps=Fraction(25), settings=settings)
    assert trial[trial.index("-c:v") :] == [
        "-c:v", "h264_nvenc", "-preset", "p4", "-rc", "vbr", "-cq", "23", "-b:v", "0", "-f", "null", "-"
    ]  # fmt: skip
    assert "h264_nvenc" not in ffmpeg_commands.encode_trial(
        layout=FrameLayout(64, 48), fps=Fraction(25), settings=EncoderSettings()
    )


def test_threads_are_bounded_where_they_are_used() -> None:
    """The decoder's before its input, the encoder's behind its codec; NVENC has none."""
    layout = FrameLayout(64, 48, "yuv420p")
    decoding = ffmpeg_commands.decode_frames(Path("/a.mp4"), 0, layout=layout, way=Way(), threads=3)
    assert decoding[decoding.index("-threads") + 1] == "3"
    assert decoding.index("-threads") < decoding.index("-i")
    sound = SoundTrack(Path("/job/voice.wav"), 16_000, None, 2.0, 0.0, 2.0)
    for codec, expected in (("x264", True), ("nvenc", False)):
        encoding = ffmpeg_commands.encode(
            Path("/out.mp4"),
            layout=layout,
            fps=Fraction(25),
            sound=sound,
            color=ColorTags(),
            settings=EncoderSettings.model_validate({"codec": codec}),
            comment="",
            threads=5,
        )
        assert ("-threads" in encoding) == expected
        if expected:
            assert encoding[encoding.index("-c:v") : encoding.index("-threads") + 2][-1] == "5"


def test_planes_are_neither_converted_on_the_way_in_nor_out() -> None:
    layout = FrameLayout(64, 48, "yuv420p", "bt709")
    decoding = ffmpeg_commands.decode_frames(Path("/a.mp4"), 0, layout=layout, way=Way())
    assert "scale" not in " ".join(decoding)
    trial = ffmpeg_commands.encode_trial(layout=layout, fps=Fraction(25), settings=EncoderSettings())
    assert "scale" not in " ".join(trial)


def test_what_is_kept_is_decoded_beside_what_is_given() -> None:
    small, whole = FrameLayout(32, 24, "yuv420p"), FrameLayout(64, 48, "yuv420p")
    way, kept = Way(), (whole, Path("/job/pictures.raw"))
    arguments = ffmpeg_commands.decode_frames(Path("/a.mp4"), 2, layout=small, way=way, kept=kept)
    [filters] = [each for each in arguments if "split" in each]
    assert filters.startswith("[0:2]")
    assert filters.index("format=yuv420p,split") < filters.index("scale=32:24:flags=area")
    assert [arguments[k + 1] for k, each in enumerate(arguments) if each == "-map"] == ["[given]", "[kept]"]
    assert arguments[-2:] == ["file:/job/pictures.raw", "-y"]
