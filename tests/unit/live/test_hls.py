from __future__ import annotations

from fractions import Fraction

from musetalk.live.hls import HlsWindow
from musetalk.media.live.fragments import Fragment

FPS = 5
LIST = """\
#EXTM3U
#EXT-X-VERSION:7
#EXT-X-TARGETDURATION:1
#EXT-X-INDEPENDENT-SEGMENTS
#EXT-X-MEDIA-SEQUENCE:{first}
#EXT-X-MAP:URI="init.mp4"
#EXT-X-PROGRAM-DATE-TIME:1970-01-01T00:00:{first:02}.000+00:00
"""


def filled(seconds: int, window: HlsWindow | None = None) -> HlsWindow:
    """A window that was given so many seconds of five pictures, each with a packet of sound, and the next key frame."""
    window = window or HlsWindow()
    window.add(Fragment("init", b"init", True, 0, Fraction(0)))
    for number in range(seconds * FPS + 1):
        time = Fraction(number, FPS)
        window.add(Fragment("sound", b"s%d " % number, True, number, time))
        window.add(Fragment("picture", b"p%d " % number, number % FPS == 0, number, time))
    return window


def read(window: HlsWindow, name: str) -> str | None:
    file = window.file(name)
    return None if file is None else file.data.decode()


def test_segments_begin_with_key_frames_and_are_the_stream_in_a_row() -> None:
    window = filled(2)
    assert read(window, "0.m4s") == "s0 p0 s1 p1 s2 p2 s3 p3 s4 p4 s5 "
    assert read(window, "1.m4s") == "p5 s6 p6 s7 p7 s8 p8 s9 p9 s10 "
    assert read(window, "init.mp4") == "init"
    assert read(window, "index.m3u8") == LIST.format(first=0) + "#EXTINF:1.00000,\n0.m4s\n#EXTINF:1.00000,\n1.m4s\n"


def test_six_seconds_are_listed_and_what_was_listed_stays_as_long_again() -> None:
    window = filled(20)
    listed = "".join(f"#EXTINF:1.00000,\n{number}.m4s\n" for number in range(14, 20))
    assert read(window, "index.m3u8") == LIST.format(first=14) + listed
    assert [read(window, f"{number}.m4s") is None for number in (6, 7, 13, 19, 20)] == [True, False, False, False, True]


def test_cuts_make_shorter_segments_and_not_a_shorter_list() -> None:
    window = HlsWindow()
    for number in range(101):
        window.add(Fragment("picture", b"p", True, number, Fraction(number, 10)))
    listed = read(window, "index.m3u8")
    assert listed is not None
    assert listed.count("#EXTINF:0.10000,") == 60


def test_players_are_told_once_there_are_three_seconds_of_it() -> None:
    assert [filled(seconds).playable for seconds in (0, 2, 3, 30)] == [False, False, True, True]
    assert HlsWindow().file("index.m3u8") is None
