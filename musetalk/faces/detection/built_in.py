"""The detectors that come with the program. What runs them is imported when they are loaded."""

from __future__ import annotations

from musetalk.faces.detection import mtcnn_networks
from musetalk.faces.detection.spec import DetectorSpec
from musetalk.faces.types import FaceDetector
from musetalk.settings import DetectorSettings
from musetalk.weights.catalog import S3FD, YUNET
from musetalk.weights.part_spec import Place


def _s3fd(settings: DetectorSettings, place: Place) -> FaceDetector:
    from musetalk.faces.detection.s3fd import LONGEST, load_s3fd  # noqa: PLC0415 - loads torch
    from musetalk.runtime.device import choose_compute  # noqa: PLC0415 - the same

    device = choose_compute(place.device, "fp32").device
    return load_s3fd(
        place.models_dir / S3FD.path, device, longest=settings.max_side or LONGEST, smallest=settings.min_face
    )


def _mtcnn(settings: DetectorSettings, _place: Place) -> FaceDetector:
    from musetalk.faces.detection.mtcnn import MtcnnDetector  # noqa: PLC0415

    return MtcnnDetector(settings)


def _mtcnn_lacks() -> tuple[str, ...]:
    if mtcnn_networks.find_networks() is not None:
        return ()
    return (f"the package {mtcnn_networks.PACKAGE} is not installed: {mtcnn_networks.REMEDY}",)


def _yunet(settings: DetectorSettings, place: Place) -> FaceDetector:
    from musetalk.faces.detection.yunet import YuNetDetector  # noqa: PLC0415

    return YuNetDetector(settings, place.models_dir / YUNET.path)


def _haar(settings: DetectorSettings, _place: Place) -> FaceDetector:
    from musetalk.faces.detection.haar import HaarDetector  # noqa: PLC0415

    return HaarDetector(settings)


S3FD_SPEC = DetectorSpec("s3fd", "S3FD", _s3fd, weights=(S3FD,), weight_set="faces", torch=True, gflop=42.6)
MTCNN_SPEC = DetectorSpec("mtcnn", "MTCNN", _mtcnn, missing=_mtcnn_lacks)
YUNET_SPEC = DetectorSpec("yunet", "YuNet", _yunet, weights=(YUNET,), weight_set="yunet")
HAAR_SPEC = DetectorSpec("haar", "Haar", _haar)
