from __future__ import annotations

from pathlib import Path

from musetalk.backends.registry import BackendRegistry
from musetalk.pipeline.weight_sets import weights_read
from musetalk.settings import RenderSettings
from musetalk.weights.variants import lean_path


def test_a_render_reads_what_its_parts_do_and_nothing_of_others(tmp_path: Path) -> None:
    names = ("musetalkV15/unet.pth", "musetalk/pytorch_model.bin", "sd-vae/diffusion_pytorch_model.bin")
    others = ("s3fd/s3fd-619a316812.pth", "gfpgan/GFPGANv1.4.pth", "taesd/config.json")
    for name in (*names, *others):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()

    def read(backend: str, **settings: object) -> set[str]:
        wanted = RenderSettings.parse({"models_dir": tmp_path, **settings}).components
        return {path.relative_to(tmp_path).as_posix() for path in weights_read(BackendRegistry(), backend, wanted)}

    of_preview = {"s3fd/s3fd-619a316812.pth"}
    assert read("preview") == of_preview
    assert read("musetalk-v15") == {"musetalkV15/unet.pth", "sd-vae/diffusion_pytorch_model.bin", *of_preview}
    assert read("preview", enhance={"model": "gfpgan"}) == {"gfpgan/GFPGANv1.4.pth", *of_preview}
    assert read("musetalk-v1", network={"decoder": "tiny"}) > {"musetalk/pytorch_model.bin", "taesd/config.json"}
    (tmp_path / names[0]).unlink()
    lean_path(tmp_path / names[0]).touch()  # stands for it
    assert "musetalkV15/unet.lean.safetensors" in read("musetalk-v15")
