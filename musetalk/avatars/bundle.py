"""`Avatar`: one that lies in a folder, opened and checked; and what it knows, as renders ask for it."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from musetalk.avatars.given_crops import GivenCropsFile
from musetalk.avatars.latents import LatentsFile
from musetalk.avatars.manifest import FACES, LABELS, MANIFEST, SOURCE, FileFacts, Manifest, damaged, read_manifest
from musetalk.avatars.settings import check_decided, settings_of
from musetalk.errors import AvatarError, CoordsError, SettingsError
from musetalk.faces.parsing.parsed_faces import ParsedFaces
from musetalk.faces.tracking.face_plan import FacePlan
from musetalk.faces.types import FaceDetector
from musetalk.media.ffmpeg_commands import rate_text
from musetalk.media.types import Source
from musetalk.pipeline.file_uses import FileUse, FileUses
from musetalk.pipeline.findings import KnownDetector, Reading
from musetalk.progress import CancelToken
from musetalk.settings import FaceChoice, RenderSettings

_BLOCK = 2**20


@dataclass(frozen=True, slots=True)
class Avatar:
    """An avatar that is whole.

    Attributes:
        folder: Where it lies.
        manifest: What it is.
        settings: Its own, without what belongs to a machine.
        faces: All faces of its source.
    """

    folder: Path
    manifest: Manifest
    settings: RenderSettings
    faces: FacePlan = field(repr=False)

    @property
    def name(self) -> str:
        """What its owner calls it."""
        return self.manifest.name

    @property
    def id(self) -> str:
        """Digest of all that it is."""
        return self.manifest.id

    @property
    def source(self) -> Path:
        """Its source: a file, or a folder of pictures."""
        return self.folder / self.manifest.source.file

    @property
    def uses(self) -> FileUses:
        """The files that speaking may read."""
        return FileUses(tuple(FileUse(self.folder / name, "the avatar") for name in (MANIFEST, *self.manifest.files)))

    def settings_with(self, said: Mapping[str, Any]) -> RenderSettings:
        """Return its settings with others over them, as a tree of plain values.

        Raises:
            SettingsError: One is unknown or out of range, or was decided when the avatar was made.
        """
        settings = settings_of(self.manifest.settings, said)
        self.check(settings)
        return settings

    def check(self, settings: RenderSettings) -> None:
        """Make sure that it can speak with settings.

        Raises:
            SettingsError: They differ in what was decided when it was made.
        """
        check_decided(settings.by_name(), self.settings.by_name(), self.name)

    def given_crops(self, backend: str) -> GivenCropsFile | None:
        """Return crops and masks for a backend that were placed elsewhere; None: they are placed here.

        Raises:
            AvatarError: They are damaged.
        """
        prepared, source = self.manifest.prepared(backend), self.manifest.source
        if prepared is None or prepared.crops is None or prepared.masks is None:
            return None
        return GivenCropsFile(self.folder / prepared.crops, self.folder / prepared.masks, (source.width, source.height))

    def findings(self, seed: int | None, face: FaceChoice) -> AvatarFindings:
        """Return what it knows, for one render; see `AvatarFindings`."""
        return AvatarFindings(self, seed, face)


class AvatarFindings:
    """What an avatar knows, as `Findings` of one render.

    Args:
        avatar: The avatar.
        seed: With which latents are to have been sampled; None: they are to be their mode.
        face: Who speaks.
    """

    def __init__(self, avatar: Avatar, seed: int | None, face: FaceChoice) -> None:
        self._avatar, self._seed = avatar, seed
        self._chosen = avatar.faces.select(face)
        self._latents: dict[str, LatentsFile] = {}
        self._lacked: dict[str, None] = {}

    @property
    def detector(self) -> FaceDetector:
        """Stands for what found the faces."""
        return KnownDetector(self._avatar.manifest.detector)

    @property
    def faces(self) -> FacePlan:
        """All faces of the source."""
        return self._avatar.faces

    def check(self, source: Source) -> None:
        """Make sure that the source is read as it was when the avatar was made.

        Raises:
            AvatarError: It is not.
        """
        facts = self._avatar.manifest.source
        now = (source.width, source.height, rate_text(source.fps))
        if now != (facts.width, facts.height, facts.fps) or source.frame_count < facts.frames:
            raise AvatarError(
                f"the source of the avatar {self._avatar.name} is read otherwise than when it was made "
                f"({now[0]}x{now[1]} at {now[2]}, not {facts.width}x{facts.height} at {facts.fps})",
                "create it again",
                path=self._avatar.folder,
            )

    def prepared(self, backend: str) -> Reading | None:
        """Return what faces were read for where they were read, and encoded as is asked for, for a backend."""
        prepared = self._avatar.manifest.prepared(backend)
        sampled = prepared is not None and prepared.latents is not None and prepared.seed != self._seed
        return None if prepared is None or sampled else prepared.reading

    def covers(self, backend: str, reading: Reading) -> bool:
        """Return whether the avatar was prepared for a backend as is asked for."""
        prepared = self._avatar.manifest.prepared(backend)
        return reading.idle or (prepared is not None and prepared.reading.includes(reading))

    def lacked(self, backend: str) -> None:
        """Note that the faces are read again for a backend."""
        self._lacked[backend] = None

    def parsed(self, backend: str, reading: Reading) -> ParsedFaces:
        """Return what was read of the chosen faces.

        Raises:
            AvatarError: It is damaged, or says what cannot be.
        """
        prepared, folder = self._avatar.manifest.prepared(backend), self._avatar.folder
        if reading.idle or prepared is None or prepared.parsed is None:
            return ParsedFaces()
        labels = folder / LABELS if LABELS in self._avatar.manifest.files else None
        try:
            parsed = ParsedFaces.load(folder / prepared.parsed, labels, self._chosen)
        except CoordsError as error:
            raise damaged(folder, error.problem) from error
        return parsed.reduced(labels=reading.labels, five=reading.five)

    def latents(self, backend: str) -> LatentsFile | None:
        """Return latents of a backend's crops.

        Raises:
            AvatarError: They are damaged.
        """
        prepared = self._avatar.manifest.prepared(backend)
        if prepared is None or prepared.latents is None or prepared.seed != self._seed:
            return None
        if backend not in self._latents:
            self._latents[backend] = LatentsFile(self._avatar.folder / prepared.latents)
        return self._latents[backend]

    def crops(self, backend: str) -> GivenCropsFile | None:
        """Return crops and masks that were placed elsewhere; None: they are placed here.

        Raises:
            AvatarError: They are damaged.
        """
        return self._avatar.given_crops(backend)

    def notes(self) -> tuple[str, ...]:
        """Return what was noted when the avatar was made, and which latents it lacked."""
        notes = [f"when the avatar was made: {note}" for note in self._avatar.manifest.notes]
        for backend in self._lacked:
            notes.append(f"faces were read again for {backend}: the avatar was prepared without, or for another look")
        for backend, latents in self._latents.items():
            missed, asked = latents.missed
            if missed:
                notes.append(
                    f"{missed} of {asked} crops were encoded anew: the avatar was prepared for {backend} with others"
                )
        return tuple(notes)


def open_avatar(folder: Path, cancel: CancelToken | None = None) -> Avatar:
    """Open an avatar: every file is read once and has to be what the manifest says; its source is not decoded.

    Args:
        folder: Where it lies.
        cancel: Ends it.

    Raises:
        AvatarError: There is none, it is damaged, or of another version of the format.
    """
    manifest = read_manifest(folder)
    for name, facts in manifest.files.items():
        _check_file(folder, name, facts, cancel)
    try:
        settings = settings_of(manifest.settings, {})
        faces = FacePlan.load(folder / FACES, source_digest(manifest.files))
    except (CoordsError, SettingsError) as error:
        raise damaged(folder, error.problem) from error
    _check_faces(folder, faces, manifest)
    return Avatar(folder, manifest, settings, faces)


def source_digest(files: Mapping[str, FileFacts]) -> str:
    """Return the digest of an avatar's source, of one file or many, by which its faces are told to be its own."""
    own = sorted((name, each.sha256) for name, each in files.items() if name.startswith((f"{SOURCE}.", f"{SOURCE}/")))
    return hashlib.sha256(repr(own).encode()).hexdigest()


def file_facts(path: Path, cancel: CancelToken | None = None) -> FileFacts:
    """Return size and digest of a file, read piece by piece.

    Raises:
        OSError: It cannot be read.
    """
    digest, size = hashlib.sha256(), 0
    with path.open("rb") as file:
        while block := file.read(_BLOCK):
            digest.update(block)
            size += len(block)
            if cancel is not None:
                cancel.check()
    return FileFacts(sha256=digest.hexdigest(), size=size)


def _check_file(folder: Path, name: str, facts: FileFacts, cancel: CancelToken | None) -> None:
    """Make sure that a file is there, in the avatar's own folder, and what it has to be.

    Raises:
        AvatarError: It is not.
    """
    path = folder / name
    try:
        if any(part.is_symlink() for part in (path, path.parent) if part != folder) or not path.is_file():
            raise damaged(folder, f"{name} is missing, or no file of its own")
        size = path.stat().st_size
        if size != facts.size:
            raise damaged(folder, f"{name} has {size} bytes instead of {facts.size}")
        if file_facts(path, cancel) != facts:
            raise damaged(folder, f"{name} has other content than it was made with")
    except OSError as error:
        raise damaged(folder, f"{name} cannot be read: {error.strerror}") from error


def _check_faces(folder: Path, faces: FacePlan, manifest: Manifest) -> None:
    """Make sure that faces are about the source, and lie about its frames.

    Raises:
        AvatarError: They are not.
    """
    source = manifest.source
    if (faces.width, faces.height, faces.frame_count) != (source.width, source.height, source.frames):
        raise damaged(folder, f"{FACES} is about another source")
    reach = np.array([faces.width, faces.height] * 2)
    if ((faces.boxes[:, :4] < -reach) | (faces.boxes[:, :4] > 2 * reach)).any():
        raise damaged(folder, f"{FACES} has faces far outside of the frames")
