"""`avatar.json`: what an avatar is, and what each of its files has to be. Read without trusting any of it."""

from __future__ import annotations

import hashlib
import json
import os
import re
import stat
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

import musetalk
from musetalk.errors import PATH, AvatarError
from musetalk.pipeline.findings import Reading
from musetalk.settings import problems_in, said_of
from musetalk.utils.files import NAME_BYTES, readable, whole_file
from musetalk.utils.plain_json import read_plain_json

FORMAT = 1
MANIFEST, FACES, LABELS = "avatar.json", "faces.npz", "labels.bin"
SOURCE = "source"  # stem of its file; where it is a folder of pictures, the folder
_LARGEST = 32 * 2**20  # bytes of a manifest: that of a folder of 200,000 pictures is smaller
_FILE = re.compile(r"(source/)?[A-Za-z0-9][A-Za-z0-9_-]*(\.[A-Za-z0-9]+)*")
_NAME = re.compile(r"\w(?:[\w. -]{0,62}\w)?")
_DEVICES = re.compile(r"(con|prn|aux|nul|com\d|lpt\d)(\..*)?", re.IGNORECASE)  # names that no file has on Windows
_REMEDY = "create it again, or get another copy"


def _shown(text: str) -> str:
    if readable(text) != text:
        raise ValueError("has letters that are not shown")
    return text


Shown = Annotated[str, AfterValidator(_shown)]  # a text for people, by which no terminal is led astray
Digest = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
Count = Annotated[int, Field(ge=0, lt=2**53)]


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class FileFacts(_Part):
    """What a file has to be.

    Attributes:
        sha256: Of its content, in hexadecimal.
        size: In bytes.
    """

    sha256: Digest
    size: Count


class SourceFacts(_Part):
    """What the source is, as it was read when the avatar was made.

    Attributes:
        file: Its file in the avatar's folder, or the folder of its pictures.
        name: What its file was called.
        width, height: Of its frames, in pixels.
        fps: Exact rate as text, "30000/1001".
        frames: Frames that can be decoded.
        sound: Whether it has sound of its own.
    """

    file: str
    name: Shown
    width: Annotated[int, Field(gt=0, lt=2**20)]
    height: Annotated[int, Field(gt=0, lt=2**20)]
    fps: Annotated[str, Field(pattern=r"^[1-9][0-9]{0,8}(/[1-9][0-9]{0,8})?$")]
    frames: Annotated[int, Field(gt=0, lt=2**31)]
    sound: bool


class PreparedBackend(_Part):
    """What was prepared for a backend.

    Attributes:
        name: Of the backend.
        labels, landmarks, five: What faces were read for, see `Reading`.
        parsed: The file of parsed faces; None: nothing was to be read.
        latents: The file of latents; None: there are none.
        seed: With which latents were sampled; None: they are their mode.
        crops: The file of crops that were placed elsewhere; None: they are placed here.
        masks: The file of their masks.
    """

    name: Shown
    labels: bool
    landmarks: bool
    five: bool
    parsed: str | None
    latents: str | None
    seed: int | None
    crops: str | None = None
    masks: str | None = None

    @property
    def reading(self) -> Reading:
        """What faces were read for."""
        return Reading(self.labels, self.landmarks, self.five)


class Manifest(_Part):
    """All of `avatar.json`.

    Attributes:
        format: Version of this format.
        name: What its owner calls it.
        id: Digest of all that it is, but for its name and what made it.
        made_by: Version of the package that made it.
        source: What the source is.
        settings: As plain values: those that preparation depends on, and the look that speaking starts from.
        detector: What found the faces, and by which settings.
        backends: What was prepared for each backend, the one first that speaks where none is named.
        notes: What the user should know of how it was prepared, a sentence each.
        files: All files of the avatar but this one, by their names, "/" between folders.
    """

    format: int
    name: str
    id: Digest
    made_by: Shown
    source: SourceFacts
    settings: dict[str, Any]
    detector: Shown
    backends: Annotated[tuple[PreparedBackend, ...], Field(min_length=1, strict=False)]
    notes: Annotated[tuple[Shown, ...], Field(strict=False)]
    files: dict[str, FileFacts]

    def prepared(self, backend: str) -> PreparedBackend | None:
        """Return what was prepared for a backend; None: nothing was."""
        return next((each for each in self.backends if each.name == backend), None)

    @property
    def size(self) -> int:
        """Bytes of all files but this one."""
        return sum(each.size for each in self.files.values())

    def save(self, folder: Path) -> None:
        """Write it into an avatar's folder.

        Raises:
            OutputError: It cannot be written.
        """
        text = json.dumps(self.model_dump(mode="json"), indent=1, ensure_ascii=False) + "\n"
        with whole_file(folder / MANIFEST) as partial:
            partial.write_bytes(text.encode("utf-8", "backslashreplace"))


def make_manifest(values: Mapping[str, Any]) -> Manifest:
    """Return a manifest of what it says, with the format, the id and the version that are due to it."""
    due = {"format": FORMAT, "id": manifest_id(values), "made_by": musetalk.__version__}
    return Manifest.model_validate({**values, **due})


def read_manifest(folder: Path) -> Manifest:
    """Read the manifest of an avatar, and check that it agrees with itself; its files are not looked at.

    Raises:
        AvatarError: There is none, it is damaged, or of another version of the format.
    """
    path = folder / MANIFEST
    try:
        if not stat.S_ISREG(path.lstat().st_mode):  # one that waits for a writer would never be read
            raise damaged(folder, f"{MANIFEST} is no file of its own")
        with path.open("rb") as file:
            stored = file.read(_LARGEST + 1)
        values = read_plain_json(stored) if len(stored) <= _LARGEST else None
    except FileNotFoundError as error:
        problem, remedy = (
            f'there is no avatar in "{PATH}"',
            "give the folder of one: AvatarStore().find(NAME) knows it by its name",
        )
        raise AvatarError(problem, remedy, path=folder) from error
    except OSError as error:
        raise AvatarError(f'"{PATH}" cannot be read ({error.strerror})', "make it readable", path=path) from error
    except ValueError as error:
        raise damaged(folder, f"{MANIFEST} is no JSON") from error
    if not isinstance(values, dict):
        raise damaged(folder, f"{MANIFEST} is no description of an avatar")
    version = values.get("format")
    if version != FORMAT or isinstance(version, bool):
        problem = f'the avatar in "{PATH}" is of format {str(version)[:20]}, and format {FORMAT} is read here'
        raise AvatarError(problem, "use the version that made it, or create it again", path=folder)
    try:
        manifest = Manifest.model_validate(values)
    except ValidationError as error:
        raise damaged(folder, said_of(problems_in(error)[:3])) from error
    _check(folder, manifest, values)
    return manifest


def check_name(name: str) -> str:
    """Return the name of an avatar as it is.

    Raises:
        AvatarError: No avatar can be called that.
    """
    if not _NAME.fullmatch(name) or _DEVICES.fullmatch(name) or len(os.fsencode(name)) > NAME_BYTES:
        raise AvatarError(
            f"no avatar can be called {name[:80]!r}",
            "use 1 to 64 letters, digits, and inside dots, dashes, underscores and spaces",
        )
    return name


def damaged(folder: Path, why: str) -> AvatarError:
    """Return the error for an avatar that is not what it has to be."""
    return AvatarError(f'the avatar in "{PATH}" is damaged ({why})', _REMEDY, path=folder)


def _check(folder: Path, manifest: Manifest, values: Mapping[str, Any]) -> None:
    """Check what the manifest names.

    Raises:
        AvatarError: A name could lead elsewhere, a file that it needs is not listed, or it was changed.
    """
    for name in manifest.files:
        if not _FILE.fullmatch(name) or name == MANIFEST:
            raise damaged(folder, f"no file of it can be called {name[:80]!r}")
    files, source = set(manifest.files), manifest.source.file
    parts = [(each.parsed, each.latents, each.crops, each.masks) for each in manifest.backends]
    named = {name for each in parts for name in each if name is not None}
    pictured = source == SOURCE and any(name.startswith(f"{SOURCE}/") for name in files)
    lacking = sorted((named | {FACES} | (set() if pictured else {source})) - files)
    if lacking:
        raise damaged(folder, f"it does not list {lacking[0][:80]!r}")
    check_name(manifest.name)
    if manifest_id(values) != manifest.id:
        raise damaged(folder, "its id is not that of its content")


def manifest_id(values: Mapping[str, Any]) -> str:
    """Return the digest of all that an avatar is, but for its name and what made it."""
    own = {key: value for key, value in values.items() if key not in ("name", "id", "made_by", "format")}
    text = json.dumps(own, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(f"avatar {FORMAT}\n{text}".encode()).hexdigest()
