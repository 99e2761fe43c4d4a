"""Make docs/comfyui.jpg: the example workflow as ComfyUI's own page draws it, from what the nodes say and made.

pip install comfyui-frontend-package
python -m docs.make_comfyui_picture [--write]

The page is the real one. What it asks a server is answered here: there is no ComfyUI behind it, and the nodes run in
the tests' stand-in, with the sample that ships and the preview. The page is asked back what it makes of the workflow,
as a file and as a request: if that is not what lies beside the nodes, it is said, or written.
"""

from __future__ import annotations

import argparse
import importlib.resources
import io
import json
import mimetypes
import struct
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlparse

import numpy as np
from PIL import Image
from playwright.sync_api import Page, Route, WebSocketRoute, sync_playwright

from musetalk.assets import SAMPLE, VOICE
from tests.browser.drive import find_chromium
from tests.helpers.comfyui import PACK, comfyui

PICTURE = Path(__file__).with_name("comfyui.jpg")
WORKFLOW, REQUEST = PACK / "example_workflow.json", PACK / "example_api.json"
ADDRESS = "http://127.0.0.1:8188/"  # answered here, by nobody on the network
SIZE, EDGES = (1640, 1000), (216, 110, 226, 116)  # pixels; what is around the workflow: left, above, right, below
IDENTITY = "3b1f8f0e-6d75-4365-8461-6c6b2d687962"  # of the workflow: any, and always the same
PATIENCE = 120_000  # ms
SETTLED = 5_000  # ms, until all is drawn
RENDERS, PREVIEWS = "4", "6"  # the numbers of nodes in the workflow
NOTHING_WAITS = {"exec_info": {"queue_remaining": 0}}
TEXT = 3  # ComfyUI's number for a text on a node
# ComfyUI's own nodes of the workflow, as far as the page has to know them: title, inputs, outputs.
OTHERS: dict[str, tuple[str, dict[str, Any], list[str]]] = {
    "LoadVideo": ("Load Video", {"file": ("COMBO", {"options": ["clip.mp4"], "video_upload": True})}, ["VIDEO"]),
    "LoadAudio": ("Load Audio", {"audio": (["voice.wav"], {"audio_upload": True})}, ["AUDIO"]),
    "PreviewImage": ("Preview Image", {"images": ("IMAGE", {})}, []),
}
SERVER: dict[str, Any] = {
    "/users": {"storage": "server", "migrated": True},
    "/settings": {"Comfy.TutorialCompleted": True, "Comfy.Graph.CanvasInfo": False, "Comfy.Minimap.Visible": False},
    "/extensions": [],
    "/embeddings": [],
    "/experiment/models": [],
    "/queue": {"queue_running": [], "queue_pending": []},
    "/system_stats": {"system": {"os": "posix", "comfyui_version": "0.3.75", "argv": []}, "devices": []},
}


def page_files() -> Path:
    """Return the folder of ComfyUI's page."""
    return Path(str(importlib.resources.files("comfyui_frontend_package"))) / "static"


@dataclass(frozen=True)
class Shown:
    """What a ComfyUI with the node pack tells its page, and shows when the workflow has run.

    Attributes:
        nodes: What it says of all nodes.
        outputs: What is seen on nodes, by their numbers in the workflow.
        label: The text on the node that renders.
        files: What it serves, by name.
    """

    nodes: dict[str, Any]
    outputs: dict[str, Any]
    label: str
    files: dict[str, Path]


def run_nodes(folder: Path) -> Shown:
    """Run the workflow's nodes with what ships, in a folder that lasts as long as the picture is made."""
    with comfyui(folder / "ComfyUI") as comfy:
        files = {"source_path": str(SAMPLE), "voice_path": str(VOICE)}
        done = comfy.run("MuseTalkLipSync", backend="preview", masks=True, **files)
        video, masks, _ = done["result"]
        images, *_ = comfy.run("MuseTalkFrames", video=video, masks=masks, count=1)
        Image.fromarray((images[0].numpy() * 255).round().astype(np.uint8)).save(folder / "frame.png")
        nodes = comfy.object_info()
    for name, (title, inputs, outputs) in OTHERS.items():
        nodes[name] = {
            "input": {"required": inputs},
            "input_order": {"required": list(inputs)},
            "output": outputs,
            "output_is_list": [False] * len(outputs),
            "output_name": outputs,
            "name": name,
            "display_name": title,
            "description": "",
            "category": "video",
            "output_node": not outputs,
            "python_module": "nodes",
        }
    frame = {"images": [{"filename": "frame.png", "subfolder": "", "type": "temp"}]}
    served = {"clip.mp4": SAMPLE, "voice.wav": VOICE, "frame.png": folder / "frame.png"}
    served[done["ui"]["images"][0]["filename"]] = Path(video.get_stream_source())
    return Shown(nodes, {RENDERS: done["ui"], PREVIEWS: frame}, done["ui"]["text"][0], served)


def answer(route: Route, shown: Shown, page: Path) -> None:
    """Answer the page as ComfyUI would."""
    url = urlparse(route.request.url)
    path = url.path.removeprefix("/api")
    if path == "/view":
        file = shown.files[parse_qs(url.query)["filename"][0]]
        route.fulfill(path=file, content_type=mimetypes.guess_type(file.name)[0])
    elif path.startswith("/userdata/"):
        route.fulfill(status=404)
    elif path == "/object_info":
        route.fulfill(json=shown.nodes)
    elif path != url.path:
        route.fulfill(json=SERVER.get(path, {}))
    elif (file := page / (path.lstrip("/") or "index.html")).is_file():
        route.fulfill(path=file, content_type=mimetypes.guess_type(file.name)[0])
    else:
        route.fulfill(status=404)


def tell(socket: WebSocketRoute, shown: Shown) -> None:
    """Say over the page's socket what ComfyUI does when nodes have run."""
    for node, output in shown.outputs.items():
        data = {"node": node, "display_node": node, "prompt_id": "1", "output": output}
        socket.send(json.dumps({"type": "executed", "data": data}))
    number = RENDERS.encode()
    socket.send(struct.pack(">II", TEXT, len(number)) + number + shown.label.encode())


def open_workflow(page: Page, workflow: dict[str, Any]) -> dict[str, Any]:
    """Open a workflow; what the page makes of it: as a file, and as a request."""
    page.goto(ADDRESS)
    page.wait_for_function("window.app && window.app.graph", timeout=PATIENCE)
    page.wait_for_timeout(SETTLED)
    page.evaluate("workflow => window.app.loadGraphData(workflow)", workflow)
    page.wait_for_timeout(SETTLED)
    found: dict[str, Any] = page.evaluate(
        "async () => ({file: window.app.graph.serialize(), request: (await window.app.graphToPrompt()).output})"
    )
    return found


def main() -> None:
    """Draw the workflow; `--write`: put what the page makes of it in place of what is there."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--write", action="store_true", help="write the workflow as the page saves it")
    write = parser.parse_args().write
    sockets = list[WebSocketRoute]()

    def greet(socket: WebSocketRoute) -> None:
        sockets.append(socket)
        socket.send(json.dumps({"type": "status", "data": {"status": NOTHING_WAITS, "sid": "1"}}))

    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        shown = run_nodes(Path(folder))
        browser = playwright.chromium.launch(executable_path=find_chromium(playwright))
        page = browser.new_page(viewport={"width": SIZE[0], "height": SIZE[1]})
        page.route("**/*", lambda route: answer(route, shown, page_files()))
        page.route_web_socket("**/ws*", greet)
        found = open_workflow(page, json.loads(WORKFLOW.read_text()))
        tell(sockets[-1], shown)
        page.wait_for_timeout(SETTLED)
        drawn = Image.open(io.BytesIO(page.screenshot())).convert("RGB")
        browser.close()
    left, above, right, below = EDGES
    drawn.crop((left, above, drawn.width - right, drawn.height - below)).save(PICTURE, quality=85)
    for path, made in ((WORKFLOW, _comparable(found["file"])), (REQUEST, _request(found["request"], shown.nodes))):
        text = json.dumps(made, indent=2) + "\n"
        if write:
            path.write_text(text)
        elif text != path.read_text():
            sys.exit(f"{path.name} is not what the page makes of it: python -m docs.make_comfyui_picture --write")


def _comparable(workflow: dict[str, Any]) -> dict[str, Any]:
    """Return a workflow without what differs each time, is of the window that it was seen in, or says nothing."""
    told: dict[str, Any] = _without_nothing({**workflow, "id": IDENTITY, "revision": 0, "extra": {}})
    return told


def _request(found: dict[str, Any], nodes: dict[str, Any]) -> dict[str, Any]:
    """Return a request without what the page's own players hold, which no node asks for."""
    for node in found.values():
        known = {name for inputs in nodes[node["class_type"]]["input"].values() for name in inputs}
        node["inputs"] = {name: value for name, value in node["inputs"].items() if name in known}
    return found


def _without_nothing(value: Any) -> Any:  # noqa: ANN401 - of a workflow
    if isinstance(value, dict):
        return {key: _without_nothing(each) for key, each in value.items() if each is not None or key == "link"}
    return [_without_nothing(each) for each in value] if isinstance(value, list) else value


if __name__ == "__main__":
    main()
