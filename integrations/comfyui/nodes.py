"""The nodes, by ComfyUI's contract of classes with `INPUT_TYPES`, which all of its versions load."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar, Literal

from musetalk.avatars.bundle import open_avatar
from musetalk.avatars.store import AvatarStore
from musetalk.errors import SettingsError
from musetalk.pipeline.report import RenderReport
from musetalk.settings import RenderSettings, SettingField, written_settings
from musetalk.utils.files import temporary_folder

from .host import Audio, NodeProgress, Tensor, Video, blocked, interruptible, named_file, work_folder
from .inputs import source_file, video_file
from .outputs import frame_range, images_of, masks_of, open_video, sound_of
from .rendering import Asked, Engine, Inputs, render, with_models
from .widgets import BACKEND, Chosen, Widget, chosen, panels, settings_tree, widget, widget_name, widget_values

_SETTINGS = "MUSETALK_SETTINGS"
_MOST_FRAMES = 2**31 - 1
_NO_AVATAR = "(there are no avatars)"


def _text(tooltip: str, **options: Any) -> Widget:  # noqa: ANN401 - options of ComfyUI's widgets
    return "STRING", {"default": "", "tooltip": tooltip, **options}


def _switch(tooltip: str) -> Widget:
    return "BOOLEAN", {"default": False, "tooltip": tooltip}


def _socket(kind: str, tooltip: str) -> Widget:
    return kind, {"tooltip": tooltip}


_VOICE_PATH = _text("The voice as a path, or the name of a file in the input folder, where no sound is connected.")
_SPOKEN: dict[str, Widget] = {
    "more": _text(
        "More settings, one NAME=VALUE a line, or as a JSON object. They win over all others.",
        multiline=True,
        placeholder="mask.feather=0.2",
    ),
    "masks": _switch("Write where faces were painted, too, as a video of masks."),
    "free_memory": _switch("Unload ComfyUI's models before, and MuseTalk's after: for GPUs that do not hold both."),
    "filename_prefix": _text(
        "Of the result in the output folder; empty: it goes to the temporary one, for nodes that save it themselves.",
        default="musetalk/lipsync",
    ),
}
_SOUND = _socket("AUDIO", "The voice.")
_FROM_NODES = _socket(_SETTINGS, "From the settings nodes.")


class Node:
    """What ComfyUI asks of a node."""

    TITLE: ClassVar[str]
    CATEGORY: ClassVar[str] = "MuseTalk"
    FUNCTION: ClassVar[str] = "run"
    DESCRIPTION: ClassVar[str]


class _Speaking(Node):
    """What makes something speak: what is asked of all such nodes, and one way to answer."""

    OUTPUT_NODE = True
    RETURN_TYPES = ("VIDEO", "VIDEO", "STRING")
    RETURN_NAMES = ("video", "masks", "report")
    OUTPUT_TOOLTIPS = (
        "The result, with the voice; a file that is read when its frames are asked for.",
        "Where faces were painted, what is in front of the mouth left out; only with `masks` on.",
        "What was done, as JSON.",
    )
    engine: ClassVar[Engine]

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, dict[str, Any]]:  # noqa: N802 - ComfyUI's name
        """Return its widgets and sockets. Saved workflows know widgets by their order."""
        return {
            "required": {**cls._widgets(), **_SPOKEN},
            "optional": {**cls._sockets(), "audio": _SOUND, "settings": _FROM_NODES},
            "hidden": {"node": "UNIQUE_ID"},
        }

    @classmethod
    def _widgets(cls) -> dict[str, Widget]:
        """Return those before the ones that all have; the voice's path is among them."""
        raise NotImplementedError

    @classmethod
    def _sockets(cls) -> dict[str, Widget]:
        """Return those beside the ones that all have."""
        return {}

    def run(
        self,
        *,
        voice_path: str,
        more: str,
        masks: bool,
        free_memory: bool,
        filename_prefix: str,
        node: str = "",
        audio: Audio | None = None,
        settings: Chosen | None = None,
        **own: Any,  # noqa: ANN401 - what its own widgets and sockets hold
    ) -> dict[str, Any]:
        """Render; see `render`."""
        work = self._work(settings or {}, more, **own)
        return render(self.engine, Asked(audio, voice_path, masks, free_memory, filename_prefix, node), work)

    def _work(self, *settings: Any, **own: Any) -> Callable[[Inputs], RenderReport]:  # noqa: ANN401
        """Return what renders, once it is certain that the settings can be.

        Args:
            settings: Those of settings nodes, and those written as text, which win.
            own: What its own widgets and sockets hold.

        Raises:
            SettingsError: They cannot be.
        """
        raise NotImplementedError


class LipSyncNode(_Speaking):
    """A source and a voice in, the same source speaking that voice out."""

    TITLE = "MuseTalk Lip Sync"
    DESCRIPTION = "Makes a video, a batch of images or one portrait speak a voice."

    @classmethod
    def _widgets(cls) -> dict[str, Widget]:
        rate = {"default": 25.0, "min": 1.0, "max": 240.0, "step": 0.001, "tooltip": "The rate of connected images."}
        return {
            "source_path": _text("The source as a path, or a name in the input folder, where nothing is connected."),
            "images_fps": ("FLOAT", rate),
            "voice_path": _VOICE_PATH,
            "backend": widget(BACKEND),
        }

    @classmethod
    def _sockets(cls) -> dict[str, Widget]:
        return {
            "video": _socket("VIDEO", "The source, as a video."),
            "images": _socket("IMAGE", "The source, as images; one is a portrait."),
        }

    @classmethod
    def VALIDATE_INPUTS(  # noqa: N802
        cls, source_path: str | None = None, voice_path: str | None = None, more: str | None = None
    ) -> Literal[True] | str:
        """Say before anything runs which path is not there, or which setting cannot be read."""
        return _problem_of(source_path, voice_path, more=more)

    @classmethod
    def IS_CHANGED(cls, source_path: str = "", voice_path: str = "", **_others: object) -> str:  # noqa: N802
        """Return what changes with the files that are named, so that they are rendered anew."""
        return f"{_content(source_path)} {_content(voice_path)}"

    def _work(
        self,
        said: Chosen,
        more: str,
        *,
        source_path: str,
        images_fps: float,
        backend: str,
        video: Video | None = None,
        images: Tensor | None = None,
    ) -> Callable[[Inputs], RenderReport]:
        said = {**said, **chosen((BACKEND,), {widget_name(BACKEND): backend})}
        settings = RenderSettings.parse(with_models(settings_tree(said, more)))

        def work(given: Inputs) -> RenderReport:
            source = source_file(video, images, images_fps, source_path, given.folder, given.cancel)
            return self.engine.lipsync.render(
                source,
                given.voice,
                given.out,
                settings.model_copy(update=given.masks),
                on_progress=given.on_progress,
                cancel=given.cancel,
            )

        return work


class SpeakNode(_Speaking):
    """A voice in, an avatar that was prepared once speaking it out."""

    TITLE = "MuseTalk Avatar Speaks"
    DESCRIPTION = (
        "Makes an avatar (python -m musetalk avatar create) speak a voice, without looking through its source."
    )

    @classmethod
    def _widgets(cls) -> dict[str, Widget]:
        avatars = [each.folder.name for each in AvatarStore().entries() if each.manifest is not None]
        names = avatars or [_NO_AVATAR]
        who = (names, {"default": names[0], "tooltip": "Who speaks; made by `avatar create`."})
        return {"avatar": who, "voice_path": _VOICE_PATH}

    @classmethod
    def VALIDATE_INPUTS(cls, voice_path: str | None = None, more: str | None = None) -> Literal[True] | str:  # noqa: N802
        """Say before anything runs that the voice is not there, or which setting cannot be read."""
        return _problem_of(voice_path, more=more)

    @classmethod
    def IS_CHANGED(cls, avatar: str = "", voice_path: str = "", **_others: object) -> str:  # noqa: N802
        """Return what changes with the avatar and the file that is named."""
        return f"{_state_of(AvatarStore().place(avatar))} {_content(voice_path)}"

    def _work(self, said: Chosen, more: str, *, avatar: str) -> Callable[[Inputs], RenderReport]:
        values = with_models(settings_tree(said, more))

        def work(given: Inputs) -> RenderReport:
            opened = open_avatar(AvatarStore().find(avatar), given.cancel)
            return self.engine.lipsync.speak(
                opened,
                given.voice,
                given.out,
                opened.settings_with(values).model_copy(update=given.masks),
                on_progress=given.on_progress,
                cancel=given.cancel,
            )

        return work


class FramesNode(Node):
    """Frames, masks and sound of a video, as many as are asked for."""

    TITLE = "MuseTalk Frames"
    DESCRIPTION = "Reads frames, masks and sound out of a result, all of them or a range, so that they fit into memory."
    RETURN_TYPES = ("IMAGE", "MASK", "AUDIO", "FLOAT")
    RETURN_NAMES = ("images", "masks", "audio", "fps")

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, dict[str, Any]]:  # noqa: N802
        """Return its widgets and sockets."""
        most = {"default": 0, "min": 0, "max": _MOST_FRAMES}
        return {
            "required": {
                "video": _socket("VIDEO", "The result, or any other video."),
                "first": ("INT", {**most, "tooltip": "The first frame, from 0."}),
                "count": ("INT", {**most, "tooltip": "How many frames; 0: all that follow."}),
            },
            "optional": {"masks": _socket("VIDEO", "The masks of the result.")},
            "hidden": {"node": "UNIQUE_ID"},
        }

    def run(self, video: Video, first: int, count: int, node: str = "", masks: Video | None = None) -> tuple[Any, ...]:
        """Read frames.

        Raises:
            MediaError: They cannot be read, or do not fit into memory.
        """
        with interruptible() as cancel, temporary_folder(work_folder()) as folder:
            progress = NodeProgress(node, cancel)
            source = open_video(video_file(video, folder, cancel), cancel)
            frames = frame_range(source, first, count)
            images = images_of(source, frames, progress.step, cancel)
            masked = blocked("no masks are connected: connect those of the node that renders")
            if masks is not None:
                found = open_video(video_file(masks, folder, cancel), cancel)
                masked = masks_of(found, frames, source.height, source.width, cancel)
            return images, masked, sound_of(source, frames, folder, cancel), float(source.fps)


class SettingsNode(Node):
    """Settings of one theme; those of several are passed from one node to the next."""

    CATEGORY = "MuseTalk/settings"
    DESCRIPTION = "Settings for the nodes that render; connect several in a row. What is left as it is says nothing."
    RETURN_TYPES = (_SETTINGS,)
    RETURN_NAMES = ("settings",)
    fields: ClassVar[tuple[SettingField, ...]]

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, dict[str, Any]]:  # noqa: N802
        """Return its widgets, made of the settings' fields."""
        return {"required": dict(widget_values(cls.fields)), "optional": {"settings": _FROM_NODES}}

    def run(self, settings: Chosen | None = None, **held: Any) -> tuple[Chosen]:  # noqa: ANN401 - of any widget
        """Return the settings that were connected, and its own over them.

        Raises:
            SettingsError: One of its own cannot be.
        """
        own = chosen(self.fields, held)
        RenderSettings.parse(settings_tree(own, ""))  # what is wrong is told of the node where it is said
        return ({**(settings or {}), **own},)


def node_classes() -> dict[str, type[Node]]:
    """Return the nodes by their ids, all of which share one engine."""
    engine = {"engine": Engine()}
    nodes: dict[str, type[Node]] = {
        "MuseTalkLipSync": type("MuseTalkLipSync", (LipSyncNode,), engine),
        "MuseTalkSpeak": type("MuseTalkSpeak", (SpeakNode,), engine),
        "MuseTalkFrames": FramesNode,
    }
    for panel, fields in panels().items():
        name = "MuseTalkSettings" + re.sub(r"\W", "", panel.title())
        nodes[name] = type(name, (SettingsNode,), {"fields": fields, "TITLE": f"MuseTalk Settings: {panel}"})
    return nodes


def _problem_of(*paths: str | None, more: str | None) -> Literal[True] | str:
    """Return what is wrong with what is written in a node; what is connected instead is None."""
    for path in filter(str.strip, filter(None, paths)):
        if not named_file(path).exists():
            return f'there is no file "{named_file(path)}"'
    try:
        written_settings(more or "")
    except SettingsError as error:
        return str(error)
    return True


def _content(path: str | None) -> str:
    """Return what changes with the content of a file, or of a folder of pictures; empty: none is named."""
    return _state_of(named_file(path)) if path and path.strip() else ""


def _state_of(path: Path) -> str:
    try:
        files = sorted(path.iterdir()) if path.is_dir() else [path]
        return ";".join(f"{each.name} {each.stat().st_size} {each.stat().st_mtime_ns}" for each in files)
    except OSError as error:
        return str(error)
