"""What ComfyUI gives to nodes: its folders, its progress bar and Cancel, and types of its own. Nobody else asks it."""

from __future__ import annotations

import io
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import folder_paths
from comfy import model_management
from comfy.utils import ProgressBar
from comfy_execution.graph_utils import ExecutionBlocker
from PIL import Image
from server import PromptServer

from musetalk.errors import Cancelled
from musetalk.progress import STAGE_TITLES, CancelToken, ProgressEvent
from musetalk.utils.files import fitting_name, whole_file, writing

try:
    from comfy_api.latest import InputImpl
except ImportError:  # before the middle of 2025
    from comfy_api import input_impl as InputImpl  # noqa: N812 - as the other is called

Video: TypeAlias = Any  # a `VideoInput` of ComfyUI
Tensor: TypeAlias = Any  # IMAGE: float32 [B, H, W, C], MASK: float32 [B, H, W], both 0 to 1
Audio: TypeAlias = Any  # {"waveform": float32 [B, C, T], "sample_rate": Hz}
Blocked: TypeAlias = Any  # in an output's place: what is connected to it does not run, and says why

_PREVIEW_SIDE = 512  # pixels, longest side of the picture that a node shows while it works
_ENDING = ".mp4"


def named_file(text: str) -> Path:
    """Return the file that a text names: a path, or a name in ComfyUI's input folder; "NAME [output]" in another."""
    return Path(folder_paths.get_annotated_filepath(text.strip().strip('"')))


def work_folder() -> Path:
    """Return the folder, inside ComfyUI's temporary one, for all that is not a result; it is made if need be.

    Raises:
        OutputError: It cannot be.
    """
    folder = Path(folder_paths.get_temp_directory()) / "musetalk"
    with writing(folder):
        folder.mkdir(parents=True, exist_ok=True)
    return folder


def models_folder() -> Path:
    """Return where weights are where the nodes lie in no checkout."""
    return Path(folder_paths.models_dir) / "musetalk"


@dataclass(frozen=True, slots=True)
class Place:
    """Where a file goes that ComfyUI shows.

    Attributes:
        path: The file.
        shown: How ComfyUI's page finds it.
    """

    path: Path
    shown: dict[str, str]

    @classmethod
    def of(cls, prefix: str) -> Place:
        """Return the next one of a prefix in ComfyUI's output folder; of an empty prefix, one in its temporary folder.

        Raises:
            Exception: ComfyUI's own, where the prefix leads out of the folder.
        """
        kind = "output" if prefix.strip() else "temp"
        parent = folder_paths.get_output_directory() if prefix.strip() else folder_paths.get_temp_directory()
        wanted = prefix.strip() or "musetalk/result"
        folder, name, counter, subfolder, _ = folder_paths.get_save_image_path(wanted, parent)
        file = fitting_name(name, f"_{counter:05}_{_ENDING}")
        return cls(Path(folder) / file, {"filename": file, "subfolder": subfolder, "type": kind})

    def take(self, made: Path) -> None:
        """Move a finished file here, also from another disk; it appears whole or not at all.

        Raises:
            OutputError: It cannot be written.
        """
        with whole_file(self.path) as partial:
            shutil.move(made, partial)


def video_of(path: Path) -> Video:
    """Return a file as a VIDEO, which is read when somebody asks for its frames."""
    return InputImpl.VideoFromFile(str(path))


def in_memory(video: Video) -> bool:
    """Return whether a VIDEO is made of frames that are in memory already."""
    return isinstance(video, InputImpl.VideoFromComponents)


def blocked(reason: str) -> Blocked:
    """Return what an output holds that is not there: whatever is connected to it says why."""
    return ExecutionBlocker(reason)


def free_models() -> None:
    """Free the memory of models that ComfyUI has loaded; it loads them again when it needs them."""
    model_management.unload_all_models()
    model_management.soft_empty_cache()


def page_name(node: str) -> str:
    """Return a node's id as part of a file's name; those in subgraphs have colons."""
    return "".join(c if c.isalnum() else "-" for c in str(node)) or secrets.token_hex(4)


class ComfyCancel(CancelToken):
    """Is cancelled by ComfyUI's Cancel."""

    @property
    def cancelled(self) -> bool:
        """Whether somebody pressed it."""
        if model_management.processing_interrupted():
            self.cancel()  # it is asked by several threads, and ComfyUI forgets it once it is told
        return super().cancelled


@contextmanager
def interruptible() -> Iterator[ComfyCancel]:
    """A token that ComfyUI's Cancel sets; work that it ends inside the `with` block ends the queue's run, in its way.

    Raises:
        InterruptProcessingException: ComfyUI's own; it is no error there.
    """
    token = ComfyCancel()
    try:
        yield token
    except Cancelled as ended:
        model_management.interrupt_current_processing(False)
        raise model_management.InterruptProcessingException from ended


class NodeProgress:
    """A node's progress bar, its picture, and the line of text on it.

    Args:
        node: The node's id.
        cancel: Of the work; ComfyUI's bar raises where it was pressed, in the midst of other threads' work.
    """

    def __init__(self, node: str, cancel: ComfyCancel) -> None:
        self._node, self._cancel, self._said = node, cancel, ""
        try:
            self._bar = ProgressBar(1, node_id=node)
        except TypeError:  # before the middle of 2025 there was one bar for all
            self._bar = ProgressBar(1)

    def __call__(self, event: ProgressEvent) -> None:
        """Show an event of a render: its stage from beginning to end, and what the stage is."""
        title = STAGE_TITLES[event.stage]
        self.say(f"{title}: waiting for {event.before} before it" if event.before else title)
        picture = None
        if event.picture:
            picture = ("JPEG", Image.open(io.BytesIO(event.picture)), _PREVIEW_SIDE)
        self.step(event.done + event.part, event.total, picture)

    def step(self, done: float, total: int, picture: tuple[str, Image.Image, int] | None = None) -> None:
        """Show how far it has come."""
        if self._cancel.cancelled:
            return
        try:
            self._bar.update_absolute(min(done, total), max(1, total), picture)
        except model_management.InterruptProcessingException:
            self._cancel.cancel()

    def say(self, text: str) -> None:
        """Show a text on the node, in versions of ComfyUI that can."""
        if text != self._said and self._node:
            self._said = text
            send = getattr(getattr(PromptServer, "instance", None), "send_progress_text", None)
            if send is not None:
                send(text, self._node)
