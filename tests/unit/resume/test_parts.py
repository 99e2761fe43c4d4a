from __future__ import annotations

import os
from contextlib import ExitStack, suppress
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from fractions import Fraction
from pathlib import Path, PurePosixPath

import pytest
from hypothesis import given
from hypothesis import strategies as st

from musetalk.errors import OutputError
from musetalk.media.probe import probe_source
from musetalk.pipeline.request import RenderRequest
from musetalk.progress import CancelToken
from musetalk.resume import part_folder
from musetalk.resume.identity import Identity, identity_of
from musetalk.resume.part_folder import open_part_folder
from musetalk.resume.types import RenderParts, part_length
from musetalk.settings import EncoderSettings, Limits, RenderSettings
from musetalk.weights.lock import entry_of, record


@given(frames=st.integers(1, 5000), length=st.integers(2, 600))
def test_parts_cover_each_frame_once(frames: int, length: int) -> None:
    parts = RenderParts(Path(), "", frames, length)
    assert [frame for number in range(parts.count) for frame in parts.range_of(number)] == list(range(frames))


@pytest.mark.parametrize(
    ("seconds", "fps", "length"),
    [(None, 25, 250), (0.4, 25, 250), (4, 25, 200), (60, 25, 1500), (0.01, 25, 250), (0.7, 30, 252)],
)
def test_parts_end_where_key_frames_are_anyhow(seconds: float | None, fps: int, length: int) -> None:
    assert part_length(250, Fraction(fps), EncoderSettings(keyframe_seconds=seconds)) == length


def test_the_key_is_of_what_files_hold_and_of_nothing_that_is_not_seen(clip: Path, voice: Path, tmp_path: Path) -> None:
    source = probe_source(clip, Limits())

    def key(spoken: Path = voice, out: str = "out.mp4", threads: int = 2, **values: object) -> str:
        settings = RenderSettings.parse({"backend": "preview", **values})
        identity = identity_of(
            source,
            RenderRequest(clip, spoken, settings),
            tmp_path / out,
            weights=tmp_path.glob("*.pth"),
            part_frames=250,
            threads=threads,
            cancel=CancelToken(),
        )
        return identity.key

    moved = tmp_path / "moved.wav"
    moved.write_bytes(voice.read_bytes())
    words, other = tmp_path / "words.srt", tmp_path / "other.srt"
    words.write_text("one")
    other.write_text("one")
    same = key()
    assert same == key(moved)
    assert same == key(max_slowdown=3, coords_dir=tmp_path, use_saved_coords=True, limits={"max_seconds": 99})
    assert key(captions=words) == key(captions=other)
    other.write_text("two")
    assert key(captions=words) != key(captions=other)
    moved.write_bytes(voice.read_bytes()[:-2])
    others = [key(moved), key(out="b.mp4"), key(threads=3), key(encoder={"crf": 30}), key(captions=words), key(fps=50)]
    (tmp_path / "weights.pth").write_text("weights")
    assert len({same, *others, key()}) == 8


def test_weights_count_by_their_recorded_digest_until_they_are_changed(clip: Path, voice: Path, tmp_path: Path) -> None:
    weights, source = tmp_path / "weights.pth", probe_source(clip, Limits())
    settings = RenderSettings(backend="preview", models_dir=tmp_path)

    def told() -> str:
        found = identity_of(
            source,
            RenderRequest(clip, voice, settings),
            tmp_path / "out.mp4",
            weights=[weights],
            part_frames=250,
            threads=1,
            cancel=CancelToken(),
        )
        return str(found.facts["weights"]["weights.pth"])

    weights.write_text("weights")
    record(tmp_path, PurePosixPath("weights.pth"), entry_of("digest", 7, "here"))
    assert told() == "digest"
    earlier = (datetime.now(timezone.utc) - timedelta(hours=1)).isoformat(timespec="seconds")
    weights.write_text("changed")  # to as many bytes, in the hour since they were recorded
    record(tmp_path, PurePosixPath("weights.pth"), replace(entry_of("digest", 7, "here"), date=earlier))
    os.utime(weights, (0, 0))  # as a file that was moved here from elsewhere
    assert told() == "7 0"


def test_of_two_who_begin_another_video_under_one_name_at_the_same_moment_one_at_most_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out, inside, begun = tmp_path / "out.mp4", [], []
    first, second = (RenderParts(tmp_path / f".musetalk-parts-{digit * 16}", "", 1, 1) for digit in "ab")
    write = part_folder.save_json

    def before_it_is_written(value: object, path: Path) -> None:
        if not begun:
            begun.append(True)
            with suppress(OutputError):
                stack.enter_context(open_part_folder(out, second, Identity({})))
                inside.append(second)
        write(value, path)

    monkeypatch.setattr(part_folder, "save_json", before_it_is_written)
    with ExitStack() as stack, suppress(OutputError), open_part_folder(out, first, Identity({})):
        inside.append(first)
    assert begun
    assert len(inside) <= 1
