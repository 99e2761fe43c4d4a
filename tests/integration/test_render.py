"""The main job on the sample that ships, through the library's door."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from musetalk.backends.registry import BackendRegistry
from musetalk.backends.spec import BackendSpec
from musetalk.backends.types import Clip, GeneratorSpec
from musetalk.compositing.masks import face_mask
from musetalk.errors import BackendError, Cancelled, DiskSpaceError, FaceError, OutputError
from musetalk.faces.detection.haar import HaarDetector
from musetalk.faces.types import FaceBox
from musetalk.lipsync import LipSync
from musetalk.media.frames import Frame, Part
from musetalk.media.playback import play
from musetalk.metrics.mouth_opening import measure_opening
from musetalk.pipeline.first_costs import BESIDE_NETWORKS
from musetalk.pipeline.forecast import CostBook
from musetalk.pipeline.prepare import RenderPlan
from musetalk.pipeline.render import output_frames, render_frames
from musetalk.pipeline.request import RenderRequest
from musetalk.progress import CancelToken, ProgressEvent, RenderRun
from musetalk.settings import DetectorSettings, RenderSettings
from musetalk.utils.arrays import UInt8Array
from tests.helpers.errors import raises_kind
from tests.helpers.media import decode, decode_sound, stream_seconds, tone, write_video, write_wav

pytestmark = pytest.mark.integration
CONTRACT = {
    *("frames", "face_frames", "passthrough_frames", "fallback_frames", "fallbacks", "fps", "voice_seconds"),
    *(
        "video_seconds",
        "wall_seconds",
        "stages",
        "peak_rss_mb",
        "backend",
        "device",
        "warnings",
        "settings",
        "versions",
    ),
}


class Inverter:
    """A generator that cannot be overlooked: it inverts its crops; or fails when told to."""

    clip_length = 5
    spec = GeneratorSpec()
    device = "cpu"

    def __init__(self, crop_size: int | None = None, *, fails: bool = False) -> None:
        self.crop_size = crop_size
        self.fails = fails

    def generate(self, clip: Clip) -> UInt8Array:
        if self.fails:
            raise BackendError("the network broke")
        return 255 - clip.crops


def engine_with(generator: Inverter) -> LipSync:
    backend = BackendSpec("inverter", "for tests", lambda _: generator)
    return LipSync(BackendRegistry((backend,)))


def source_frames(plan: RenderPlan) -> list[UInt8Array]:
    count = plan.timeline.frame_count
    return list(map(Frame.rgb, play(plan.source, plan.timeline, 0, count, spool_dir=plan.folder)))


def test_the_sample_speaks(sample: Path, speech: Path, tmp_path: Path) -> None:
    events: list[ProgressEvent] = []
    out = tmp_path / "out.mp4"
    report = LipSync().render(sample, speech, out, on_progress=events.append)
    assert report.frames == round(Fraction(report.fps) * 2) == len(decode(out))
    assert report.face_frames + report.passthrough_frames == report.frames
    assert report.face_frames > 0
    assert report.fallbacks == ()
    assert abs(stream_seconds(out, "v:0") - stream_seconds(out, "a:0")) <= 1 / Fraction(report.fps)
    assert [path.name for path in tmp_path.iterdir()] == ["out.mp4"]
    assert list(dict.fromkeys(event.stage for event in events)) == ["preflight", "plan", "speech", "render", "finish"]
    last = {event.stage: event for event in events}
    assert all(event.done == event.total for event in last.values())
    report.save(tmp_path / "report.json")
    assert json.loads((tmp_path / "report.json").read_text()).keys() >= CONTRACT


def test_faces_change_under_the_mask_only_and_cutaways_not_at_all(film: Path, tmp_path: Path) -> None:
    voice = write_wav(tmp_path / "long.wav", tone(1.6))  # longer than the film
    settings = RenderSettings(backend="inverter")
    with engine_with(Inverter()).preparing(film, voice, settings, tmp_path) as plan:
        count = plan.timeline.frame_count
        sources = list(play(plan.source, plan.timeline, 0, count, spool_dir=plan.folder))
        rendered = [frame.picture for frame in output_frames(plan, 0, count, RenderRun())]
        assert len(rendered) == len(sources)
        assert rendered[0].layout.pixel_format == "yuv420p"
        passed = 0
        for k, (frame, source) in enumerate(zip(rendered, sources, strict=True)):
            faces = plan.face_plan.faces(plan.timeline.source_frame(k))
            covered = np.zeros(source.planes[0].shape, bool)
            for face in faces:
                mask = face_mask(face.box, settings.mask)
                rows, columns = mask.alpha.shape
                y, x = max(0, mask.y), max(0, mask.x)
                inside = mask.alpha[y - mask.y :, x - mask.x :] > 0
                covered[y : mask.y + rows, x : mask.x + columns] = inside[
                    : covered.shape[0] - y, : covered.shape[1] - x
                ]
            shared = covered.reshape(covered.shape[0] // 2, 2, -1, 2).any(axis=(1, 3))
            for plane, before, under in zip(frame.planes, source.planes, (covered, shared, shared), strict=True):
                np.testing.assert_array_equal(plane[~under], before[~under])
            if not faces:
                passed += 1
                assert frame.data.tobytes() == source.data.tobytes()
            else:
                assert np.abs(frame.rgb().astype(int) - source.rgb().astype(int)).max() > 50
        assert 0 < passed < len(sources)


def test_any_range_comes_out_with_the_same_pixels(film: Path, tmp_path: Path) -> None:
    long = write_wav(tmp_path / "long.wav", tone(2.4))
    with LipSync().preparing(film, long, RenderSettings(), tmp_path) as plan:
        count = plan.timeline.frame_count
        whole = list(render_frames(plan, 0, count, RenderRun()))
        turn = plan.source.frame_count
        for start, stop in ((0, 1), (3, 9), (turn - 5, turn + 6), (turn + 5, turn + 12), (count - 1, count)):
            part = list(render_frames(plan, start, stop, RenderRun()))
            np.testing.assert_array_equal(np.stack(part), np.stack(whole[start:stop]))


def test_a_kept_tail_follows_untouched(film: Path, tmp_path: Path) -> None:
    short = write_wav(tmp_path / "short.wav", tone(0.36))
    settings = RenderSettings(backend="inverter", tail="keep")
    with engine_with(Inverter()).preparing(film, short, settings, tmp_path) as plan:
        assert plan.timeline.frame_count == plan.source.frame_count
        rendered = render_frames(plan, 4, 12, RenderRun())
        sources = source_frames(plan)[4:12]
        changed = [not np.array_equal(frame, source) for frame, source in zip(rendered, sources, strict=True)]
    assert changed == [True] * 5 + [False] * 3  # the voice ends with frame 8


def test_silence_changes_nothing(portrait: Path, tmp_path: Path) -> None:
    silence = write_wav(tmp_path / "silence.wav", np.zeros(16_000))
    with LipSync().preparing(portrait, silence, RenderSettings(), tmp_path) as plan:
        for frame, source in zip(render_frames(plan, 0, 25, RenderRun()), source_frames(plan), strict=True):
            np.testing.assert_array_equal(frame, source)


def test_a_portrait_speaks(portrait: Path, speech: Path, tmp_path: Path) -> None:
    report = LipSync().render(portrait, speech, tmp_path / "out.mp4", RenderSettings(fps=30))
    assert (report.frames, report.face_frames, report.fps) == (60, 60, "30/1")


@pytest.mark.parametrize("when", ["plan", "render"])
def test_cancelling_leaves_nothing(film: Path, words: Path, tmp_path: Path, when: str) -> None:
    token = CancelToken()

    def cancel_at(event: ProgressEvent) -> None:
        if event.stage == when and event.done:
            token.cancel()

    with pytest.raises(Cancelled):
        LipSync().render(film, words, tmp_path / "out.mp4", on_progress=cancel_at, cancel=token)
    assert list(tmp_path.iterdir()) == []


def test_the_first_error_stops_everything_and_leaves_nothing(film: Path, words: Path, tmp_path: Path) -> None:
    (tmp_path / "out.mp4").write_text("an older result")
    settings = RenderSettings(backend="inverter")
    with pytest.raises(BackendError, match="the network broke"):
        engine_with(Inverter(fails=True)).render(film, words, tmp_path / "out.mp4", settings)
    assert [path.name for path in tmp_path.iterdir()] == ["out.mp4"]
    assert (tmp_path / "out.mp4").read_text() == "an older result"


@pytest.mark.parametrize("stage", ["preflight", "render"])
def test_a_folder_that_is_removed_meanwhile_is_told_and_nothing_else_is_blamed(
    portrait: Path, tmp_path: Path, stage: str
) -> None:
    voice, folder = write_wav(tmp_path / "a.wav", tone(0.4)), tmp_path / "out" / "day 1"
    settings = RenderSettings.parse({"backend": "preview", "encoder": {"preset": "ultrafast"}})
    folder.mkdir(parents=True)

    def remove(event: ProgressEvent) -> None:
        if event.stage == stage and folder.exists():
            shutil.rmtree(folder.parent)

    with raises_kind(OutputError) as told:
        LipSync().render(portrait, voice, folder / "a.mp4", settings, on_progress=remove)
    assert told.value.path == folder.parent
    assert "was removed while it was worked in" in told.value.problem


def test_a_face_larger_than_the_backend_paints_is_warned_of(portrait: Path, tmp_path: Path) -> None:
    voice = write_wav(tmp_path / "short.wav", tone(0.24))
    settings = RenderSettings(backend="inverter")
    report = engine_with(Inverter(crop_size=64)).render(portrait, voice, tmp_path / "out.mp4", settings)
    assert any("paints 64" in warning for warning in report.warnings)
    report = engine_with(Inverter(crop_size=512)).render(portrait, voice, tmp_path / "out.mp4", settings)
    assert report.warnings == ()


class CountingDetector(HaarDetector):
    def __init__(self) -> None:
        super().__init__(DetectorSettings())
        self.frames = 0

    def detect(self, frames: Sequence[UInt8Array]) -> list[list[FaceBox]]:
        self.frames += len(frames)
        return super().detect(frames)


def test_saved_coords_are_used_again(film: Path, words: Path, tmp_path: Path) -> None:
    detector = CountingDetector()
    engine = LipSync(detector=detector)
    settings = RenderSettings(use_saved_coords=True)
    first = engine.render(film, words, tmp_path / "one.mp4", settings)
    looked = detector.frames
    copy = tmp_path / "renamed.mp4"
    copy.write_bytes(film.read_bytes())
    copy = copy.rename(tmp_path / film.name)
    second = engine.render(copy, words, tmp_path / "two.mp4", settings)
    assert detector.frames - looked < 10  # the few of the preflight
    assert (first.face_frames, first.frames) == (second.face_frames, second.frames)
    np.testing.assert_array_equal(decode(tmp_path / "one.mp4"), decode(tmp_path / "two.mp4"))
    assert (first.known_frames, second.known_frames) == (0, first.frames)
    coords = list((tmp_path / "coords").rglob("*.npz"))
    assert coords
    for path in coords:
        path.write_bytes(b"not coords")
    third = engine.render(copy, words, tmp_path / "three.mp4", settings)
    assert any("faces that were kept are looked for again" in warning for warning in third.warnings)


def test_another_voice_takes_the_faces_over_and_is_shown_as_if_it_had_looked(
    film: Path, words: Path, tmp_path: Path, own_cache: None
) -> None:
    del own_cache
    engine, alone = LipSync(detector=CountingDetector()), RenderSettings.parse({"reuse_findings": False})
    short = write_wav(tmp_path / "short.wav", decode_sound(words)[: 16_000 * 2 // 3])
    made = []
    for voice in (words, short, words):
        taken_over = engine.render(film, voice, tmp_path / "one.mp4")
        looked = engine.render(film, voice, tmp_path / "two.mp4", alone)
        assert (tmp_path / "one.mp4").read_bytes() == (tmp_path / "two.mp4").read_bytes()
        assert (taken_over.warnings, looked.known_frames) == (looked.warnings, 0)
        made.append((taken_over.known_frames, taken_over.frames))
    assert made[0][0] == 0
    assert 0 < made[1][0] <= made[1][1]
    assert made[2][0] == made[2][1]


def test_all_faces_speak_or_the_chosen_one(small_portrait: UInt8Array, tmp_path: Path) -> None:
    single = Image.fromarray(small_portrait)
    voice = write_wav(tmp_path / "short.wav", tone(0.4))
    double = Image.new("RGB", (single.width * 2, single.height))
    double.paste(single, (0, 0))
    double.paste(single, (single.width, 0))
    double.save(tmp_path / "two.png")
    for choice, sides in (("all", {0, 1}), ("leftmost", {0}), ("rightmost", {1}), (f"{single.width * 1.5},100", {1})):
        settings = RenderSettings.parse({"backend": "inverter", "face": choice})
        with engine_with(Inverter()).preparing(tmp_path / "two.png", voice, settings, tmp_path) as plan:
            [frame] = render_frames(plan, 7, 8, RenderRun())
            changed = np.abs(frame.astype(int) - source_frames(plan)[7].astype(int)).max(axis=(0, 2)) > 50
        halves = (changed[: single.width].any(), changed[single.width :].any())
        assert {side for side, spoke in enumerate(halves) if spoke} == sides, choice


def test_what_lies_between_two_faces_is_not_converted(
    small_portrait: UInt8Array, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    voice, width = write_wav(tmp_path / "short.wav", tone(0.2)), small_portrait.shape[1]
    between = np.zeros_like(small_portrait).repeat(2, axis=1)
    wide = np.concatenate([small_portrait, between, small_portrait], axis=1)[: len(small_portrait) // 2 * 2]
    path = write_video(tmp_path / "two.mp4", wide[None].repeat(5, axis=0))
    opened, part = list[int](), Frame.part

    def noting(frame: Frame, x0: int, y0: int, x1: int, y1: int) -> Part:
        opened.append(x1 - x0)
        return part(frame, x0, y0, x1, y1)

    monkeypatch.setattr(Frame, "part", noting)
    settings = RenderSettings.parse({"backend": "inverter", "face": "all"})
    with engine_with(Inverter()).preparing(path, voice, settings, tmp_path) as plan:
        [frame] = render_frames(plan, 2, 3, RenderRun())
        changed = np.abs(frame.astype(int) - source_frames(plan)[2].astype(int)).max(axis=(0, 2)) > 50
    assert changed[:width].any()
    assert changed[-width:].any()
    assert not changed[width:-width].any()
    assert len(opened) == 2 * 5  # one for each face in each frame
    assert max(opened) <= width


def test_what_cannot_work_fails_before_work_begins(sample: Path, speech: Path, tmp_path: Path) -> None:
    blank = tmp_path / "blank.png"
    Image.new("RGB", (200, 200), "grey").save(blank)
    with pytest.raises(FaceError):
        LipSync().render(blank, speech, tmp_path / "out.mp4")
    with pytest.raises(BackendError, match="choose one of: preview"):
        LipSync().render(sample, speech, tmp_path / "out.mp4", RenderSettings(backend="magic"))
    with raises_kind(OutputError, path=tmp_path / "out.txt"):
        LipSync().render(sample, speech, tmp_path / "out.txt")
    with raises_kind(OutputError, path=sample):
        LipSync().render(sample, speech, sample)
    assert [path.name for path in tmp_path.iterdir()] == ["blank.png"]


def test_too_little_disk_is_told_in_amounts_that_make_sense(
    sample: Path, speech: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("shutil.disk_usage", lambda _folder: SimpleNamespace(free=300))
    with pytest.raises(DiskSpaceError, match=r"needs some [\d.]+ MiB of disk, and 300 bytes are free"):
        LipSync().render(sample, speech, tmp_path / "out.mp4")
    assert list(tmp_path.iterdir()) == []


def test_preflight_tells_what_a_render_will_take(sample: Path, speech: Path, tmp_path: Path, own_cache: None) -> None:
    del own_cache
    engine = LipSync(costs=CostBook(tmp_path / "costs.json", lambda _kind: BESIDE_NETWORKS))
    preflight = engine.preflight(RenderRequest(sample, speech))
    assert preflight.timeline.frame_count == 50
    assert 0 < preflight.sampled_faces <= preflight.sampled_frames
    assert preflight.estimated_seconds > 0
    assert preflight.forecast_seconds is None  # nothing was rendered yet
    assert preflight.estimated_memory_mb > 0
    assert preflight.estimated_disk_mb > 0
    report = engine.render(sample, speech, tmp_path / "out.mp4")
    learned = LipSync(costs=CostBook(tmp_path / "costs.json", lambda _kind: BESIDE_NETWORKS))
    anew = learned.preflight(RenderRequest(sample, speech, RenderSettings.parse({"reuse_findings": False})))
    assert anew.forecast_seconds == pytest.approx(report.wall_seconds, rel=0.05)
    spared = report.stages["plan"]
    again = learned.preflight(RenderRequest(sample, speech))  # its faces are known now
    assert again.forecast_seconds == pytest.approx(report.wall_seconds - spared, rel=0.05)


def test_the_mouth_follows_the_voice(portrait: Path, speech: Path, tmp_path: Path) -> None:
    """Measured in the picture, against the envelope: Pearson's r."""
    with LipSync().preparing(portrait, speech, RenderSettings(), tmp_path) as plan:
        count = plan.timeline.frame_count
        [face] = plan.face_plan.faces(0)
        opened = [measure_opening(frame, face.mouth) for frame in render_frames(plan, 0, count, RenderRun())]
        envelope = plan.session.speech.window(0, count)[:, 0]
    assert np.corrcoef(opened, envelope)[0, 1] >= 0.7


def test_a_damaged_source_is_told_in_the_report(small_portrait: UInt8Array, speech: Path, tmp_path: Path) -> None:
    frames = np.repeat(small_portrait[None], 60, axis=0)
    path = write_video(tmp_path / "a.mov", frames, 25, "-c:v", "prores_ks")
    data = bytearray(path.read_bytes())
    data[len(data) // 3 : len(data) // 2] = bytes(len(data) // 2 - len(data) // 3)
    path.write_bytes(data)
    report = LipSync().render(path, speech, tmp_path / "out.mp4")
    (told,) = [warning for warning in report.warnings if "damaged" in warning]
    assert re.fullmatch(
        r"the source is damaged: \d+ of 50 frames cannot be decoded; the ones next to them are shown in their place",
        told,
    )
    assert report.frames == 50
