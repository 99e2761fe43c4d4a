"""Whisper's encoder, from a folder on disk; never from the network."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from musetalk.audio.mel import FFT_SIZE, HOP
from musetalk.audio.types import MUSETALK_FEATURES, AudioFeatureSpec
from musetalk.errors import PATH, CheckpointError, WeightsError
from musetalk.utils.arrays import Float32Array
from musetalk.utils.modules import importing
from musetalk.weights import first_of

if TYPE_CHECKING:
    from torch import Tensor
    from transformers import WhisperConfig
    from transformers.models.whisper.modeling_whisper import WhisperEncoder

WHISPER_TINY = (5, 384)  # hidden states and their size: what MuseTalk and LatentSync were trained to hear
_CONFIG = "config.json"
_PREPROCESSOR = "preprocessor_config.json"
_WEIGHTS = ("model.safetensors", "pytorch_model.bin")  # the first that is there is read, or its lean copy
_PREFIXES = ("model.encoder.", "encoder.")  # as the published checkpoint has it, and as a bare model is saved
_RATE = 16_000
_REMEDY = "put the files of openai/whisper-tiny there: python -m musetalk weights download"


class WhisperFeatures:
    """Whisper's encoder. A `SpeechEncoder`; made by `load_whisper`. Safe to share between threads.

    Args:
        encoder: The network, in float32, ready for inference.
        filters: [201, bands].
        audio_spec: Whose habits to follow; `encoder` ends accordingly.
        fingerprint: Digest of the weights and of all else that results depend on.
    """

    def __init__(
        self, encoder: WhisperEncoder, filters: npt.NDArray[np.float64], audio_spec: AudioFeatureSpec, fingerprint: str
    ) -> None:
        self._encoder = encoder
        self._filters = filters
        self._audio_spec = audio_spec
        self._fingerprint = fingerprint

    @property
    def audio_spec(self) -> AudioFeatureSpec:
        """Whose habits it follows."""
        return self._audio_spec

    @property
    def filters(self) -> npt.NDArray[np.float64]:
        """The mel filters: [201, bands]."""
        return self._filters

    @property
    def window_steps(self) -> int:
        """Steps W in one window."""
        return int(self._encoder.config.max_source_positions)

    @property
    def states(self) -> int:
        """Hidden states per step: the embedding's, and each layer's."""
        return int(self._encoder.config.encoder_layers) + 1

    @property
    def width(self) -> int:
        """Size of a hidden state."""
        return int(self._encoder.config.d_model)

    @property
    def fingerprint(self) -> str:
        """Digest of all that its results depend on."""
        return self._fingerprint

    def encode(self, mel: Float32Array) -> Float32Array:
        """Return the hidden states, float32 [W, states, width], of a scaled log-mel spectrum, float32 [bands, 2 W]."""
        import torch  # noqa: PLC0415 - loaded with the network

        with torch.inference_mode():
            given = torch.from_numpy(np.ascontiguousarray(mel))[None].to(self._encoder.device)
            states = self._encoder(given, output_hidden_states=True).hidden_states
            held: Float32Array = torch.stack(states, dim=2)[0].cpu().numpy()
        return held


def whisper_lacks(folder: Path) -> tuple[str, ...]:
    """Say what is missing in a folder for `load_whisper`, one line each with the remedy; empty: nothing."""
    wanted = [folder / _CONFIG, folder / _PREPROCESSOR]
    if first_of(folder, *_WEIGHTS) is None:
        wanted.append(folder / _WEIGHTS[0])
    return tuple(f"there is no file {path}: {_REMEDY}" for path in wanted if not path.is_file())


def load_whisper(
    folder: Path,
    audio_spec: AudioFeatureSpec = MUSETALK_FEATURES,
    *,
    device: str = "cpu",
    shape: tuple[int, int] = WHISPER_TINY,
) -> WhisperFeatures:
    """Load the encoder of a Whisper model; its decoder stays on disk.

    Args:
        folder: Holds config.json, preprocessor_config.json, and model.safetensors or pytorch_model.bin, or a lean
            copy of one.
        audio_spec: Whose habits to follow.
        device: As torch names it.
        shape: Hidden states per step, and their size, that the listening network needs.

    Raises:
        WeightsError: A file is missing; names all that are.
        CheckpointError: A file is damaged, or of another model.
    """
    weights, missing = first_of(folder, *_WEIGHTS), whisper_lacks(folder)
    if weights is None or missing:
        raise WeightsError("Whisper cannot be loaded", "; ".join(missing), path=folder)
    config = _read_config(folder / _CONFIG)
    filters = _read_filters(folder / _PREPROCESSOR, config)
    found = (config.encoder_layers + 1, config.d_model)
    if found != shape:
        raise CheckpointError(
            f"{PATH} is of another model: {found[0]} hidden states of {found[1]} values instead of "
            f"{shape[0]} of {shape[1]}",
            _REMEDY,
            path=folder / _CONFIG,
        )
    encoder = _build(config, weights)
    # What results depend on besides the weights, their shapes and the analysis.
    habits = (audio_spec, config.encoder_attention_heads, config.activation_function, config.scale_embedding)
    fingerprint = _fingerprint(encoder.state_dict(), filters, repr(habits))
    return WhisperFeatures(_place(encoder, device, audio_spec), filters, audio_spec, fingerprint)


def _read_config(path: Path) -> WhisperConfig:
    with importing():
        from transformers import WhisperConfig  # noqa: PLC0415 - heavy

    try:
        return WhisperConfig.from_json_file(path)
    except (OSError, ValueError, TypeError, AttributeError) as error:
        problem = f"{PATH} is damaged or no Whisper configuration ({error})"
        raise CheckpointError(problem, _REMEDY, path=path) from error


def _read_filters(path: Path, config: WhisperConfig) -> npt.NDArray[np.float64]:
    """Return the mel filters that the feature extractor describes.

    Raises:
        CheckpointError: It is damaged, or describes another analysis than Whisper's, or does not fit the network.
    """
    with importing():
        from transformers import WhisperFeatureExtractor  # noqa: PLC0415 - heavy

    try:
        extractor: Any = WhisperFeatureExtractor.from_json_file(path)
    except (OSError, ValueError, TypeError, AttributeError, ArithmeticError) as error:
        problem = f"{PATH} is damaged or no feature extractor ({error})"
        raise CheckpointError(problem, _REMEDY, path=path) from error
    filters = np.asarray(extractor.mel_filters, np.float64)
    found = (extractor.sampling_rate, extractor.n_fft, extractor.hop_length, extractor.nb_max_frames, *filters.shape)
    frames = 2 * config.max_source_positions
    wanted = (_RATE, FFT_SIZE, HOP, frames, FFT_SIZE // 2 + 1, config.num_mel_bins)
    if found != wanted:
        problem = f"{PATH} does not fit the model beside it: {found} instead of {wanted}"
        raise CheckpointError(problem, _REMEDY, path=path)
    return filters


def _build(config: WhisperConfig, path: Path) -> WhisperEncoder:
    """Build the encoder and fill it with its part of a checkpoint."""
    with importing():
        from transformers.models.whisper.modeling_whisper import WhisperEncoder  # noqa: PLC0415 - heavy

    from musetalk.runtime.checkpoint import built, fill, load_state_dict  # noqa: PLC0415 - imports torch

    encoder: WhisperEncoder = built(path.with_name(_CONFIG), lambda: WhisperEncoder(config))
    fill(encoder, _encoder_part(load_state_dict(path)), path)
    encoder.requires_grad_(False)
    encoder.train(mode=False)
    return encoder


def _place(encoder: WhisperEncoder, device: str, audio_spec: AudioFeatureSpec) -> WhisperEncoder:
    """Move the encoder to a device, and leave off its closing norm where the last state is heard without."""
    import torch  # noqa: PLC0415 - heavy

    from musetalk.runtime.stop_points import with_stop_points  # noqa: PLC0415 - imports torch

    if not audio_spec.closing_norm:
        encoder.set_submodule("layer_norm", torch.nn.Identity())
    torch.nn.Module.to(encoder, device)
    return with_stop_points(encoder)


def _encoder_part(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    prefix = next((known for known in _PREFIXES if any(name.startswith(known) for name in state)), _PREFIXES[0])
    return {name[len(prefix) :]: value for name, value in state.items() if name.startswith(prefix)}


def _fingerprint(state: Mapping[str, Tensor], filters: npt.NDArray[np.float64], habits: str) -> str:
    digest = hashlib.sha256(habits.encode())
    digest.update(filters.tobytes())
    for name, value in sorted(state.items()):
        digest.update(f"{name} {tuple(value.shape)} {value.dtype}".encode())
        digest.update(value.numpy().tobytes())
    return digest.hexdigest()
