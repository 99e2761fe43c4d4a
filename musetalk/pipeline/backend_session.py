"""`BackendSession`: a backend with crops, masks and voice; a fallback's is made when first needed.

The fallback is a whole other session, not another network behind the same crops: each network was trained on crops and
on a voice of its own, and would make something worse of another's than it can.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass

from musetalk.audio.track import SpeechTrack
from musetalk.backends.types import FaceGenerator, KeptLatents
from musetalk.pipeline.cropping import FaceCropper
from musetalk.pipeline.masking import FaceMasker
from musetalk.progress import CancelToken


@dataclass(frozen=True, slots=True)
class BackendSession:
    """What painting needs of one backend.

    Attributes:
        backend: Its name.
        generator: What paints.
        cropper: Where its crops lie.
        masker: Where its masks lie.
        speech: The voice, as it hears it.
        latents: Of its crops, as far as they were kept; None: nobody kept any.
    """

    backend: str
    generator: FaceGenerator
    cropper: FaceCropper
    masker: FaceMasker
    speech: SpeechTrack
    latents: KeptLatents | None = None


class FallbackBackend:
    """A session for what the chosen one cannot paint; made ready when it is first needed. Safe between threads.

    Args:
        make: Loads it and lets it listen; may take as long as that takes.
    """

    def __init__(self, make: Callable[[CancelToken], BackendSession]) -> None:
        self._make = make
        self._lock = threading.Lock()
        self._painter: BackendSession | None = None

    def session(self, cancel: CancelToken) -> BackendSession:
        """Return the session.

        Raises:
            MuseTalkError: It cannot be made ready.
        """
        with self._lock:
            if self._painter is None:
                self._painter = self._make(cancel)
            return self._painter
