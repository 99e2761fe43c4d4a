"""The registry of detectors, the choice of `auto`, and notes on it for the user."""

from __future__ import annotations

from pathlib import Path

from musetalk.faces.detection.mtcnn_networks import REMEDY, find_networks
from musetalk.faces.detection.spec import DetectorSpec
from musetalk.settings import AUTO, DetectorSettings
from musetalk.utils.extensions import DETECTORS, Registry
from musetalk.weights.catalog import S3FD
from musetalk.weights.weight_file import lacking


class DetectorRegistry(Registry[DetectorSpec]):
    """The detectors that can be chosen, by name; see `Registry`."""

    extension, spec_type = DETECTORS, DetectorSpec

    def taken(self, settings: DetectorSettings, models_dir: Path) -> DetectorSpec:
        """Return the detector that settings ask for; see `detector_name`.

        Raises:
            SettingsError: There is none of that name.
            PackageError: It is installed and broken.
        """
        return self.get(detector_name(settings, models_dir))

    def lacks(self, settings: DetectorSettings, models_dir: Path) -> tuple[str, ...]:
        """Return what the detector that settings name is missing, a sentence each.

        Empty: nothing. "auto" misses nothing.
        """
        return () if settings.name == AUTO else self.get(settings.name).lacks(models_dir)

    def lacks_packages(self, settings: DetectorSettings) -> tuple[str, ...]:
        """Return which packages the detector that settings name is missing, a sentence each; empty: none."""
        return () if settings.name == AUTO else self.get(settings.name).missing()


def detector_name(settings: DetectorSettings, models_dir: Path) -> str:
    """Return the name of the detector that settings ask for.

    "auto" is S3FD where its weights are, else MTCNN, else Haar's cascades.
    """
    if settings.name != AUTO:
        return settings.name
    return "s3fd" if S3FD.state(models_dir) == "ready" else name_without_torch()


def name_without_torch() -> str:
    """Return the better of the detectors that need neither torch nor a download."""
    return "haar" if find_networks() is None else "mtcnn"


def detector_notes(settings: DetectorSettings, models_dir: Path) -> list[str]:
    """Return what the user should know where "auto" did not take what it would have liked to, a sentence each."""
    if settings.name != AUTO:
        return []
    name, notes = detector_name(settings, models_dir), []
    if S3FD.state(models_dir) == "damaged":
        instead = "Haar cascades" if name == "haar" else "MTCNN"
        notes.append(f"faces were looked for by {instead}: {lacking([S3FD], models_dir, 'faces')[0]}")
    if name == "haar":
        notes.append(
            f"faces were looked for by Haar cascades, which miss tilted, dark and half-hidden ones: {REMEDY}, which "
            "needs no download of weights, finds them"
        )
    return notes
