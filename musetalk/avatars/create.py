"""Making an avatar: faces found once, read and encoded for each backend, and laid in a folder with the source."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, closing
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from musetalk.avatars.bundle import file_facts, source_digest
from musetalk.avatars.latents import LatentsFile, LatentsWriter
from musetalk.avatars.manifest import FACES, LABELS, SOURCE, check_name, make_manifest
from musetalk.backends.types import EncodesCrops
from musetalk.errors import PATH, AvatarError, BackendError, write_error
from musetalk.faces.parsing.label_store import LabelStore
from musetalk.faces.parsing.parsed_faces import ParsedFaces
from musetalk.faces.tracking.face_plan import FacePlan
from musetalk.faces.types import FaceDetector
from musetalk.media.damage import note_on_shortening
from musetalk.media.ffmpeg_commands import rate_text
from musetalk.media.reader import decode
from musetalk.media.timing.timeline import plan_source
from musetalk.media.types import Source
from musetalk.pipeline.components import Components
from musetalk.pipeline.cropping import crop_from
from musetalk.pipeline.findings import KnownDetector, Reading
from musetalk.pipeline.prepare import RenderPlan, passing_notes, prepare
from musetalk.progress import CancelToken, RenderRun
from musetalk.settings import FinishSettings, PlanSettings
from musetalk.utils.arrays import UInt8Array
from musetalk.utils.files import readable, whole_folder
from musetalk.utils.stopping import left_alone

_BLOCK = 2**20  # bytes
_CROP_BYTES = 16 * 2**20  # of crops that are encoded together


def create_folder(folder: Path) -> AbstractContextManager[Path]:
    """Where to make an avatar that is to appear at `folder` whole or not at all; see `whole_folder`.

    Raises:
        AvatarError: There is something already.
        OutputError: It cannot be made.
    """
    return whole_folder(folder, _taken)


def _taken(folder: Path) -> AvatarError:
    problem, remedy = f'there is something at "{PATH}" already', "choose another name, or delete it first"
    return AvatarError(problem, remedy, path=folder)


class AvatarDraft:
    """An avatar that is being made; it is its own findings, once its faces are found.

    Args:
        source: What it is made of.
        folder: Where its files go, empty; beside it there is room for temporary ones.
        run: Progress, cancellation, warnings.
    """

    def __init__(self, source: Source, folder: Path, run: RenderRun) -> None:
        self.source, self.folder, self.run = source, folder, run
        self._faces: FacePlan | None = None
        self._detector = ""
        self._labels: LabelStore | None = None
        self._backends: list[dict[str, Any]] = []
        self._passing: set[str] = set()

    @property
    def findings(self) -> AvatarDraft | None:
        """What is known so far; None: nothing is."""
        return None if self._faces is None else self

    def add(
        self, components: Components, backend: str, wanted: PlanSettings, finish: FinishSettings, seed: int | None
    ) -> None:
        """Prepare the source for a backend; on return nothing is left of what it was prepared with.

        Args:
            components: Of the backend; leased with this draft's findings.
            backend: What it is called.
            wanted: What speaking with it will decide before its first frame.
            finish: What it will do to generated faces.
            seed: With which latents are sampled; None: they are their mode.

        Raises:
            BackendError: The backend cannot work.
            FaceError: The source shows no face.
        """
        if components.fallback_reason:
            raise BackendError(f"nothing can be prepared for {backend}: {components.fallback_reason}")
        number, run = len(self._backends) + 1, self.run
        work = self.folder.with_name(f"work-{number}")
        work.mkdir()
        timeline = plan_source(self.source.frame_count, wanted.inputs.length)
        found = self.findings
        plan = prepare(self.source, None, timeline, components, wanted, finish, folder=work, run=run, findings=found)
        if self._faces is None:
            self._passing.add(note_on_shortening(self.source, plan.source.frame_count))
            self.source, self._faces = plan.source, plan.every_face
            self._detector = components.detector.fingerprint
        self._passing.update(passing_notes(plan))
        self._passing.update(note for note in components.notes if note not in components.look_notes)
        reading = components.reading
        self._backends.append(
            {
                "name": components.backend,
                "labels": reading.labels,
                "landmarks": reading.landmarks,
                "five": reading.five,
                "parsed": self._keep_parsed(plan.session.cropper.parsed, components, number),
                "latents": self._keep_latents(plan, number),
                "seed": seed,
                "crops": None,
                "masks": None,
            }
        )

    def finish(self, name: str, kept: Mapping[str, Any]) -> None:
        """Complete the folder.

        Args:
            name: Of the avatar.
            kept: The settings that it keeps, see `kept_values`; their backend is the first that was prepared.

        Raises:
            OutputError: It cannot be written.
        """
        assert self._faces is not None  # noqa: S101 - a backend was added before
        source, run = self.source, self.run
        run.emit("finish", 0, 1)
        with run.clock.measure("finish"):
            stored = self._keep_source()
            if self._labels is not None:
                shutil.move(self._labels.path, self.folder / LABELS)
            complete_folder(
                self.folder,
                name,
                source,
                self._faces,
                file=stored,
                called=source.path.name,
                detector=self._detector,
                backends=self._backends,
                kept=kept,
                notes=[note for note in run.warnings if note not in self._passing],
                cancel=run.cancel,
            )
        run.emit("finish", 1, 1)

    @property
    def detector(self) -> FaceDetector:
        """Stands for what found the faces."""
        return KnownDetector(self._detector)

    @property
    def faces(self) -> FacePlan:
        """The faces that were found for the first backend."""
        assert self._faces is not None  # noqa: S101 - these are findings from then on
        return self._faces

    def check(self, source: Source) -> None:
        """Accept the source: it is the draft's."""

    def prepared(self, backend: str) -> None:
        """Return nothing: it is being prepared."""

    def covers(self, backend: str, reading: Reading) -> bool:
        """Return whether there is nothing to be read: for each backend faces are read once."""
        return reading.idle

    def lacked(self, backend: str) -> None:
        """Expect nothing else: that is what is prepared."""

    def parsed(self, backend: str, reading: Reading) -> ParsedFaces:
        """Return nothing: nothing was to be read."""
        return ParsedFaces()

    def latents(self, backend: str) -> LatentsFile | None:
        """Return none: they are made later."""
        return None

    def crops(self, backend: str) -> None:
        """Return none: they are placed here."""

    def notes(self) -> tuple[str, ...]:
        """Return none."""
        return ()

    def _keep_parsed(self, parsed: ParsedFaces, components: Components, number: int) -> str | None:
        """Keep what was read of the faces; return the name of its file, None: nothing was."""
        if components.readers.idle:
            return None
        if self._labels is None:
            self._labels = parsed.labels
        elif parsed.labels is not None:
            parsed = parsed.with_labels(self._labels)
        name = f"parsed-{number}.npz"
        parsed.save(self.folder / name)
        return name

    def _keep_latents(self, plan: RenderPlan, number: int) -> str | None:
        """Encode the crops of all planned faces, where the generator does; return the name of their file."""
        generator, run = plan.session.generator, self.run
        if not isinstance(generator, EncodesCrops):
            return None
        name = f"latents-{number}.safetensors"
        with run.clock.measure("encode"), LatentsWriter(self.folder / name) as writer:
            for done, crops in _crops_of(plan, run):
                writer.add(*left_alone(partial(generator.latents, crops, run.cancel.check)))
                run.emit("parse", done, plan.source.frame_count)
        return name

    def _keep_source(self) -> str:
        """Copy the source, byte by byte; return its name in the folder."""
        source = self.source
        if source.images and source.path.is_dir():
            (self.folder / SOURCE).mkdir()
            for number, picture in enumerate(source.images, 1):
                self.run.cancel.check()
                self._copy(picture, self.folder / SOURCE / f"{number:06}{_ending(picture)}")
            return SOURCE
        name = f"{SOURCE}{_ending(source.path)}"
        self._copy(source.path, self.folder / name)
        return name

    def _copy(self, path: Path, target: Path) -> None:
        try:
            with path.open("rb") as original, target.open("xb") as copy:
                while block := original.read(_BLOCK):
                    copy.write(block)
                    self.run.cancel.check()
        except OSError as error:
            problem = f'the source cannot be copied to "{PATH}" ({error.strerror})'
            raise write_error(error)(problem, "free some space", path=self.folder.parent.parent) from error


def complete_folder(
    folder: Path,
    name: str,
    source: Source,
    faces: FacePlan,
    *,
    file: str,
    called: str,
    detector: str,
    backends: Sequence[Mapping[str, Any]],
    kept: Mapping[str, Any],
    notes: Sequence[str],
    cancel: CancelToken,
) -> None:
    """Write an avatar's faces and its manifest; all its other files are in the folder.

    Args:
        folder: Where they are.
        name: Of the avatar.
        source: What it is made of.
        faces: All faces of the source.
        file: The source in the folder, see `SourceFacts`.
        called: What its file was called.
        detector: What found the faces.
        backends: What was prepared, see `PreparedBackend`.
        kept: The settings that the avatar keeps, see `kept_values`.
        notes: What the user should know, a sentence each.
        cancel: Ends it.

    Raises:
        OutputError: It cannot be written.
    """
    written = sorted(path for path in folder.rglob("*") if path.is_file())
    files = {path.relative_to(folder).as_posix(): file_facts(path, cancel) for path in written}
    faces.save(folder / FACES, source_digest(files))
    files[FACES] = file_facts(folder / FACES, cancel)
    make_manifest(
        {
            "name": check_name(name),
            "source": {
                "file": file,
                "name": readable(Path(called)),
                "width": source.width,
                "height": source.height,
                "fps": rate_text(source.fps),
                "frames": source.frame_count,
                "sound": source.has_sound,
            },
            "settings": kept,
            "detector": detector,
            "backends": [*backends],
            "notes": [readable(note) for note in notes],
            "files": {name: each.model_dump() for name, each in sorted(files.items())},
        }
    ).save(folder)


def _crops_of(plan: RenderPlan, run: RenderRun) -> Iterator[tuple[int, UInt8Array]]:
    """Yield the crops of all planned faces, uint8 RGB [N, S, S, 3], and how many frames they come from so far."""
    crops: list[UInt8Array] = []
    cropper = plan.session.cropper
    with closing(decode(plan.source, cancel=run.cancel)) as frames:
        for number, frame in enumerate(frames):
            for face in plan.face_plan.faces(number):
                crops.append(crop_from(frame, cropper.own_crop(number, face)))
            if crops and sum(crop.nbytes for crop in crops) >= _CROP_BYTES:
                yield number + 1, np.stack(crops)
                crops = []
    if crops:
        yield plan.source.frame_count, np.stack(crops)


def _ending(path: Path) -> str:
    """Return how a source's name ends, in letters that any disk takes; what it holds says what it is, not this."""
    suffix = path.suffix.lower()
    return suffix if suffix[1:].isascii() and suffix[1:].isalnum() else ".bin"
