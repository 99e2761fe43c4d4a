"""The look at one frame of a job and at what is around it: what a preview needs to know of the source."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from musetalk.audio.envelope import EnvelopeTrack
from musetalk.faces.tracking.face_plan import FacePlan
from musetalk.faces.tracking.planner import plan_faces
from musetalk.faces.tracking.propagate import ANY_FACE, search_frames
from musetalk.inspection.sampling import Hearing, sampled_places, stretch_around, telling_places
from musetalk.media.playback import play
from musetalk.media.reader import read_frames
from musetalk.media.timing.timeline import Timeline
from musetalk.media.types import Source
from musetalk.pipeline.components import Equipment
from musetalk.pipeline.segments import piece_lengths
from musetalk.progress import CancelToken
from musetalk.settings import RenderSettings
from musetalk.utils.arrays import UInt8Array


@dataclass(frozen=True, slots=True)
class Scene:
    """What all frames of one job share."""

    source: Source
    timeline: Timeline
    hearing: Hearing | None
    settings: RenderSettings
    equipment: Equipment
    folder: Path
    cancel: CancelToken
    pool: ThreadPoolExecutor

    @property
    def silent(self) -> bool:
        """Whether its voice is, all through."""
        return self.hearing is not None and self.hearing.voice.silent


@dataclass(frozen=True, slots=True)
class Look:
    """What was found around one output frame.

    Attributes:
        frame: The output frame.
        place: The source frame that it shows.
        clip: Output frames that a render might hand to the generator together with it.
        pictures: What the source shows in these: uint8 RGB [H, W, 3] each.
        stretch: Source frames that were looked at.
        every: All faces in these.
        plan: The chosen ones.
    """

    frame: int
    place: int
    clip: range
    pictures: list[UInt8Array]
    stretch: range
    every: FacePlan
    plan: FacePlan


def telling_look(scene: Scene, envelope: EnvelopeTrack | None) -> Look:
    """Of a few places the first one that has a face; if none has, simply the first one."""
    source, used = scene.source, scene.timeline.sources_used or scene.source.frame_count
    places = () if envelope is None else telling_places(envelope, source.fps)
    first, *others = places or sampled_places(source, used)
    look = look_at(scene, first)
    if not look.plan.faces(look.place):
        for frame in others:
            if _has_face(scene, frame) and (other := look_at(scene, frame)).plan.faces(other.place):
                return other
    return look


def _has_face(scene: Scene, frame: int) -> bool:
    """Whether one frame alone shows a face: a fraction of the cost of a look."""
    detector, place = scene.equipment.detector, scene.timeline.source_frame(frame)
    pictures = list(read_frames(scene.source, place, place + 1, max_side=detector.max_side, cancel=scene.cancel))
    return any(search_frames(detector, pictures, ANY_FACE))


def look_at(scene: Scene, frame: int) -> Look:
    """Decode the clip that an output frame lies in, and meanwhile look for faces around it."""
    source, timeline = scene.source, scene.timeline
    spoken = frame < timeline.spoken_count
    generator = scene.equipment.generator
    lengths = piece_lengths(generator, source.frame_bytes, source.fps)
    # Of a video network one clip around the frame will do: a whole piece would take several times as long.
    longest = lengths.longest if lengths.shortest == 1 else lengths.shortest
    length = longest if spoken and not generator.spec.per_frame else 1
    start = frame - frame % length
    clip = range(start, min(start + length, timeline.spoken_count if spoken else frame + 1))
    decoding = scene.pool.submit(_decode, scene, clip)
    place, used = timeline.source_frame(frame), timeline.sources_used
    stretch = stretch_around(place, used if place < used else source.frame_count, source)
    detector, size = scene.equipment.detector, (source.width, source.height)
    side = detector.max_side
    with closing(read_frames(source, stretch.start, stretch.stop, max_side=side, cancel=scene.cancel)) as frames:
        plan = plan_faces(
            frames,
            frame_size=size,
            fps=source.fps,
            detector=detector,
            settings=scene.settings.tracker,
            choice=scene.settings.face,
            every=True,
            cancel=scene.cancel,
        )
    every = plan.placed(stretch.start, source.frame_count)
    stretch = stretch[: plan.frame_count]
    return Look(frame, place, clip, decoding.result(), stretch, every, every.select(scene.settings.face))


def _decode(scene: Scene, clip: range) -> list[UInt8Array]:
    return list(play(scene.source, scene.timeline, clip.start, clip.stop, spool_dir=scene.folder, cancel=scene.cancel))
