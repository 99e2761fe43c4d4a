"""What was found out about a source before a render: handed to `prepare`, which then does not look for it again."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from musetalk.backends.types import KeptLatents
from musetalk.faces.parsing.parsed_faces import ParsedFaces
from musetalk.faces.tracking.face_plan import FacePlan
from musetalk.faces.types import FaceBox, FaceDetector
from musetalk.media.types import Source
from musetalk.pipeline.given_crops import GivenCrops
from musetalk.utils.arrays import UInt8Array


@dataclass(frozen=True, slots=True)
class Reading:
    """What is to be known of planned faces before they are painted.

    Attributes:
        labels: Whether they are parsed.
        landmarks: Whether their landmarks are looked for.
        five: Whether anybody asks for eyes, nose and mouth.
    """

    labels: bool = False
    landmarks: bool = False
    five: bool = False

    @property
    def idle(self) -> bool:
        """Whether there is nothing to be known."""
        return not (self.labels or self.landmarks)

    def includes(self, other: Reading) -> bool:
        """Return whether faces that were read for this were read for another one, too.

        Landmarks count before labels, so that what was found with them is not what is found without.
        """
        return self.landmarks == other.landmarks and self.labels >= other.labels and self.five >= other.five


class Findings(Protocol):
    """Findings about a whole source. Safe between threads."""

    @property
    def detector(self) -> FaceDetector:
        """Stands for what found the faces; it need not be able to find any more."""
        ...

    @property
    def faces(self) -> FacePlan:
        """All faces of the source."""
        ...

    def check(self, source: Source) -> None:
        """Make sure that they are about a source as it is read here.

        Raises:
            MuseTalkError: They are not.
        """
        ...

    def prepared(self, backend: str) -> Reading | None:
        """Return what faces were read for where they were read and encoded for a backend; None: they were not."""
        ...

    def covers(self, backend: str, reading: Reading) -> bool:
        """Return whether the faces that are painted were read for a backend, as is asked for."""
        ...

    def lacked(self, backend: str) -> None:
        """Be told that the faces are read for a backend now, since `covers` says that they were not."""
        ...

    def parsed(self, backend: str, reading: Reading) -> ParsedFaces:
        """Return what was read of the faces that are painted, where `covers` says so.

        Raises:
            MuseTalkError: It cannot be read back.
        """
        ...

    def latents(self, backend: str) -> KeptLatents | None:
        """Return latents of the crops that a backend is shown; None: there are none."""
        ...

    def crops(self, backend: str) -> GivenCrops | None:
        """Return crops for a backend that were placed elsewhere; None: they are placed here.

        Raises:
            MuseTalkError: They cannot be read back.
        """
        ...

    def notes(self) -> tuple[str, ...]:
        """Return what the user should know of them, and of how far they have served until now, a sentence each."""
        ...


class KnownDetector:
    """Stands in for the detector that found faces in a source; it finds none itself.

    Args:
        fingerprint: Of that detector.
    """

    max_side = 1

    def __init__(self, fingerprint: str) -> None:
        self.fingerprint = fingerprint

    def detect(self, frames: Sequence[UInt8Array]) -> list[list[FaceBox]]:
        """Return no face of any frame."""
        return [[] for _ in frames]
