"""MuseTalk from files on disk to a finished video, with small filled checkpoints in the published formats."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from fractions import Fraction
from pathlib import Path, PurePosixPath

import cv2
import numpy as np
import pytest
import torch
from gradio_client import Client, handle_file
from PIL import Image

from musetalk.arrays import UInt8Array
from musetalk.equipment import Workshop
from musetalk.errors import BackendError
from musetalk.faces.parsing import FaceParser
from musetalk.generators.latent import LatentGenerator
from musetalk.generators.registry import BackendRegistry
from musetalk.generators.vae import VaeEncoder
from musetalk.media.playback import play
from musetalk.pipeline import LipSync
from musetalk.preparation import Preparation
from musetalk.progress import RenderRun
from musetalk.rendering import render_frames
from musetalk.settings import RenderSettings
from musetalk.weights import MUSETALK_V15, adopt
from tests.media import decode, decode_sound, write_video, write_wav
from tests.served import served

pytestmark = pytest.mark.integration
ROOT = Path(__file__).parents[2]
FACE = range(8, 24)  # frames of the film that show the portrait; the others show none
FILM = 32


@pytest.fixture(scope="module")
def engine() -> LipSync:
    return LipSync()


@pytest.fixture(scope="module")
def small(portrait: Path) -> UInt8Array:
    """The portrait, 288 pixels high."""
    picture = Image.open(portrait).convert("RGB")
    return np.asarray(picture.resize((round(picture.width * 288 / picture.height) // 2 * 2, 288)))


@pytest.fixture(scope="module")
def film(small: UInt8Array, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Grey, then the portrait, drifting by a pixel a frame, then grey again."""
    frames = np.full((FILM, *small.shape), 128, np.uint8)
    for frame in FACE:
        frames[frame] = np.roll(small, frame - FACE.start, axis=1)
    return write_video(tmp_path_factory.mktemp("film") / "film.mp4", frames, 25, "-qp", "0")


@pytest.fixture(scope="module")
def words(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """As much of the voice that ships as the film lasts."""
    samples = decode_sound(ROOT / "assets" / "voice.wav")[: FILM * 640]
    return write_wav(tmp_path_factory.mktemp("words") / "words.wav", samples)


def settings(models: Path, **values: object) -> RenderSettings:
    base = {"backend": "musetalk-v15", "models_dir": models, "detector": {"name": "haar"}}
    return RenderSettings.parse({**base, **values})


def frames_of(preparation: Preparation, start: int = 0, stop: int | None = None) -> list[UInt8Array]:
    return list(render_frames(preparation, start, stop or preparation.timeline.frame_count, RenderRun()))


def source_of(preparation: Preparation) -> list[UInt8Array]:
    count = preparation.timeline.frame_count
    return list(play(preparation.source, preparation.timeline, 0, count, spool_dir=preparation.folder))


def crops_of(preparation: Preparation, frame: int) -> list[tuple[slice, slice]]:
    """Where output may differ from the source in an output frame."""
    source = preparation.timeline.source_frame(frame)
    faces = preparation.plan.faces(source)
    places = [preparation.layout.crops([source], [face])[0] for face in faces]
    return [(slice(max(0, p.y), p.y + p.height), slice(max(0, p.x), p.x + p.width)) for p in places]


def run(*arguments: object, cwd: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
        cwd=cwd,
        env={**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"},
    )


def test_version_1_5_speaks_through_the_command_line(film: Path, words: Path, models: Path, tmp_path: Path) -> None:
    options = ("--backend", "musetalk-v15", "--models-dir", models, "--decoder", "tiny", "--detector", "haar")
    done = run(
        "musetalk", "render", film, words, "-o", "out.mp4", "--report", "report.json", *options, "--quiet", cwd=tmp_path
    )
    assert done.returncode == 0, done.stderr
    report = json.loads((tmp_path / "report.json").read_text())
    assert (report["backend"], report["device"], report["frames"]) == ("musetalk-v15", "cpu", FILM)
    assert (report["face_frames"], report["passthrough_frames"]) == (len(FACE), FILM - len(FACE))
    assert report["bbox_shift_range"][0] < 0 < report["bbox_shift_range"][1]
    assert {"parse", "speech", "generate", "composite"} <= set(report["stages"])
    assert any("TAESD" in warning for warning in report["warnings"])
    source, made = decode(film).astype(int), decode(tmp_path / "out.mp4").astype(int)
    changed = np.abs(made - source).mean(axis=(1, 2, 3))
    assert (changed[FACE.start : FACE.stop] > 1).all()
    assert (np.delete(changed, FACE) < 1).all()


def test_version_1_speaks_through_upstreams_command_line(film: Path, words: Path, models: Path, tmp_path: Path) -> None:
    (tmp_path / "tasks.yaml").write_text(f"task: {{video_path: {film}, audio_path: {words}, detector: {{name: haar}}}}")
    unet = models / "musetalk" / "pytorch_model.bin"
    done = run(
        *("scripts.inference", "--inference_config", "tasks.yaml", "--result_dir", "results", "--version", "v1"),
        *("--unet_model_path", unet, "--unet_config", unet.with_name("musetalk.json"), "--batch_size", "4"),
        *("--whisper_dir", models / "whisper"),
        cwd=tmp_path,
    )
    assert done.returncode == 0, done.stderr
    assert "no GPU" in done.stderr
    assert "of use in [-" in done.stdout
    assert len(decode(tmp_path / "results" / "v1" / "film_words.mp4")) == FILM


def test_any_frame_comes_out_the_same_alone(
    engine: LipSync, film: Path, words: Path, models: Path, tmp_path: Path
) -> None:
    """Latents, labels and speech of one frame are never another's, with faces that come and go."""
    with engine.preparing(film, words, settings(models, network={"batch_size": 3}), tmp_path) as preparation:
        source, whole = source_of(preparation), frames_of(preparation)
        for frame in (0, FACE.start, FACE.start + 4, FACE.stop - 1, FACE.stop):
            [alone] = frames_of(preparation, frame, frame + 1)
            assert np.array_equal(alone, whole[frame])
        for frame, (before, after) in enumerate(zip(source, whole, strict=True)):
            assert (frame in FACE) != np.array_equal(before, after)
            outside = np.ones(before.shape[:2], bool)
            for place in crops_of(preparation, frame):
                outside[place] = False
            assert np.array_equal(before[outside], after[outside])


@pytest.mark.parametrize("case", ["left", "below", "turned", "tiny"])
def test_awkward_faces_are_painted_or_passed_through(
    engine: LipSync, small: UInt8Array, bare_models: Path, words: Path, tmp_path: Path, case: str
) -> None:
    height, width = small.shape[:2]
    moves = {
        "left": np.float32([[1, 0, -0.30 * width], [0, 1, 0]]),
        "below": np.float32([[1, 0, 0], [0, 1, 0.35 * height]]),
        "turned": cv2.getRotationMatrix2D((width / 2, height / 2), 18, 1),
        "tiny": np.float32([[0.4, 0, 20], [0, 0.4, 20]]),
    }
    moved = cv2.warpAffine(small, moves[case], (width, height), borderMode=cv2.BORDER_REPLICATE)
    frames = np.repeat(moved[None], 6, axis=0)
    frames[:2] = 128
    film = write_video(tmp_path / "film.mp4", frames, 25, "-qp", "0")
    values = {"detector": {"name": "haar", "min_face": 0.05, "max_side": 960}}
    with engine.preparing(film, words, settings(bare_models, **values), tmp_path) as preparation:
        source, made = source_of(preparation), frames_of(preparation)
        assert len(made) == preparation.timeline.frame_count
        painted = [frame for frame in range(len(made)) if crops_of(preparation, frame)]
        changed = [k for k, (a, b) in enumerate(zip(source, made, strict=True)) if not np.array_equal(a, b)]
    assert painted, "the face should be found"
    assert changed == painted


def test_what_depends_on_the_source_is_done_once(
    film: Path, models: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A voice twice as long as the film: it is shown forth and back, but encoded and parsed once."""
    samples = decode_sound(ROOT / "assets" / "voice.wav")[: 2 * FILM * 640]
    voice = write_wav(tmp_path / "long.wav", samples)
    encoded: list[int] = []
    parsed: list[int] = []
    moments, labels = VaeEncoder.moments, FaceParser.labels

    def counting_moments(self: VaeEncoder, pixels: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        encoded.append(len(pixels))
        return moments(self, pixels)

    def counting_labels(self: FaceParser, crops: list[UInt8Array]) -> UInt8Array:
        parsed.append(len(crops))
        return labels(self, crops)

    monkeypatch.setattr(VaeEncoder, "moments", counting_moments)
    monkeypatch.setattr(FaceParser, "labels", counting_labels)
    with LipSync().preparing(film, voice, settings(models), tmp_path) as preparation:
        made = frames_of(preparation)
    assert len(made) == 2 * FILM
    assert sum(parsed) == len(FACE)
    assert sum(encoded) == 2 * len(FACE)  # with and without its lower half


def test_a_frame_is_previewed_as_it_is_rendered(
    engine: LipSync, film: Path, words: Path, models: Path, tmp_path: Path
) -> None:
    chosen = settings(models)
    frame = FACE.start + 6
    shown = engine.preview_frame(film, words, chosen, at=(frame + 0.5) / 25)
    with engine.preparing(film, words, chosen, tmp_path) as preparation:
        [rendered] = frames_of(preparation, frame, frame + 1)
    assert shown.result is not None
    [crop], [line], [parsed] = shown.crops, shown.lines, shown.parsed
    assert crop.y < line < crop.y + crop.height
    assert parsed is None or parsed.labels.shape == (512, 512)
    assert shown.shift_range is not None
    assert not np.array_equal(shown.result, shown.frame)
    assert np.abs(shown.result.astype(int) - rendered).mean() < 2


def test_bbox_shift_and_margin_move_the_crop(engine: LipSync, film: Path, bare_models: Path) -> None:
    def crop(**values: object) -> tuple[int, int]:
        shown = engine.preview_frame(film, None, settings(bare_models, **values), at=(FACE.start + 6.5) / 25)
        return shown.crops[0].y, shown.crops[0].height

    y, height = crop()
    assert crop(bbox_shift=5) == (y + 10, height - 10)
    assert crop(extra_margin=30) == (y, height + 20)
    assert crop(backend="musetalk-v1", extra_margin=30) == (y, height - 10)


def test_s3fd_is_taken_where_its_weights_are(models: Path, bare_models: Path, small: UInt8Array) -> None:
    workshop = Workshop(BackendRegistry())
    [boxes] = workshop.detector(settings(models, detector={"name": "s3fd"})).detect([small[:96, :96]])
    assert all(np.isfinite([box.x0, box.y0, box.x1, box.y1]).all() for box in boxes)
    found = [
        workshop.detector(settings(folder, detector={"name": name})).fingerprint.split("-")[0]
        for folder, name in ((models, "auto"), (models, "haar"), (bare_models, "auto"))
    ]
    assert found == ["s3fd", "haar", "haar"]
    with pytest.raises(BackendError, match=r"s3fd-619a316812\.pth missing.*weights download"):
        workshop.ready(settings(bare_models, detector={"name": "s3fd"}))
    with pytest.raises(BackendError, match=r"79999_iter\.pth missing"):
        workshop.ready(settings(bare_models, mask={"shape": "jaw"}))


def test_the_generator_is_loaded_once(models: Path) -> None:
    workshop = Workshop(BackendRegistry())
    first = workshop.equip(settings(models)).generator
    assert isinstance(first, LatentGenerator)
    assert workshop.equip(settings(models, bbox_shift=7, mask={"shape": "ellipse"})).generator is first
    assert workshop.equip(settings(models, network={"batch_size": 2})).generator is not first


def test_what_is_missing_is_named_before_any_work(film: Path, words: Path, tmp_path: Path) -> None:
    with pytest.raises(BackendError, match=r"unet\.pth.*missing.*python -m musetalk weights download musetalk-v15"):
        LipSync().render(film, words, tmp_path / "out.mp4", settings(tmp_path / "models"))
    assert list(tmp_path.iterdir()) == []


class Payload:
    """Touches a file when unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.mkdir, (str(self.path),)


def test_bad_weights_are_refused_by_name_and_run_nothing(
    film: Path, words: Path, bare_models: Path, tmp_path: Path
) -> None:
    models, trap, out = tmp_path / "models", tmp_path / "trap", tmp_path / "out" / "out.mp4"
    shutil.copytree(bare_models, models)
    unet = models / "musetalkV15" / "unet.pth"
    good = unet.read_bytes()

    def refused(reason: str) -> None:
        known = {file.path: file for file in MUSETALK_V15}
        adopt(known[PurePosixPath("musetalkV15/unet.pth")], models)
        with pytest.raises(BackendError, match=rf"unet\.pth.*{reason}"):
            LipSync().render(film, words, out, settings(models))
        assert not out.exists()

    torch.save({"state_dict": Payload(trap)}, unet)
    refused("code")
    unet.write_bytes(good[: len(good) // 2])
    refused("damaged")
    torch.save({"other.weight": torch.zeros(3)}, unet)
    refused("other.weight")
    assert not trap.exists()


def test_odd_rates_keep_every_frame(
    engine: LipSync, small: UInt8Array, bare_models: Path, words: Path, tmp_path: Path
) -> None:
    film = write_video(tmp_path / "film.mp4", np.repeat(small[None], 4, axis=0), Fraction(24000, 1001))
    report = engine.render(film, words, tmp_path / "out.mp4", settings(bare_models))
    assert (report.fps, report.frames) == ("24000/1001", len(decode(tmp_path / "out.mp4")))
    assert abs(report.frames / (24000 / 1001) - report.voice_seconds) <= 1001 / 24000


def test_both_versions_speak_through_the_app(film: Path, words: Path, models: Path, tmp_path: Path) -> None:
    with served(tmp_path / "jobs", "--models-dir", str(models)) as server:
        client = Client(server.address, verbose=False)
        try:
            for backend, extra in (("musetalk-v15", {"decoder": "tiny"}), ("musetalk-v1", {"batch_size": 2})):
                result, report = client.predict(
                    video=handle_file(film),
                    voice=handle_file(words),
                    settings={"backend": backend, "detector": {"name": "haar"}, "network": extra},
                    api_name="/render",
                )
                assert len(decode(Path(result["video"] if isinstance(result, dict) else result))) == FILM
                assert (report["backend"], report["face_frames"]) == (backend, len(FACE))
                assert report["settings"]["network"]["device"] == "auto"
        finally:
            client.close()
