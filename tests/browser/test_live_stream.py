"""What the live encoder makes plays in a browser while it is made, fragment by fragment."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from fractions import Fraction
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
import pytest

from musetalk.media.ffmpeg_commands import LiveQuality
from musetalk.media.frames import Frame, FrameLayout
from musetalk.media.live.fragments import Fragment
from musetalk.streaming.encoder import LiveEncoder
from tests.browser.drive import BY_OTHERS, Visit, expect
from tests.helpers.media import numbered_frames, tone

pytestmark = [pytest.mark.integration, BY_OTHERS]

FPS, RATE, FRAMES = Fraction(30000, 1001), 16_000, 45
KEYS = 15
PAGE = """<!doctype html><link rel="icon" href="data:,"><title>live</title><video muted></video><p id="done"></p>
<script>
const video = document.querySelector("video");
const holes = [];
const happens = (target, name) => new Promise((resolve) => target.addEventListener(name, resolve, { once: true }));
async function play(first) {
  const about = await (await fetch("/about")).json();
  const media = new MediaSource();
  video.src = URL.createObjectURL(media);
  await happens(media, "sourceopen");
  const buffer = media.addSourceBuffer(about.mime);
  let began = false;
  for (let place = first - 1; place < about.count; place++) {
    const number = place < first ? 0 : place;
    buffer.appendBuffer(await (await fetch(`/fragment/${number}`)).arrayBuffer());
    await happens(buffer, "updateend");
    if (video.buffered.length > 1) holes.push(number);
    if (video.buffered.length && !began) {
      began = true;
      video.currentTime = video.buffered.start(0);
      video.play();
    }
  }
  media.endOfStream();
  if (!video.ended) await happens(video, "ended");
  document.querySelector("#done").textContent = "ended";
}
addEventListener("error", () => { document.querySelector("#done").textContent = "failed"; });
</script>"""


def live_fragments() -> tuple[str, list[Fragment]]:
    """A second and a half with sound, and what a browser is told that it is."""
    given: list[Fragment] = []
    layout = FrameLayout(160, 96)
    voice = tone(float(FRAMES / FPS) + 0.1).astype(np.float32)
    quality = LiveQuality(keyframe_seconds=float(KEYS / FPS))
    with LiveEncoder(layout, FPS, RATE, given.append, quality) as encoder:
        for number, picture in enumerate(numbered_frames(FRAMES, 160, 96)):
            start, stop = (round(each * RATE / FPS) for each in (number, number + 1))
            encoder.push(Frame(layout, picture.reshape(-1)), voice[start:stop])
        encoder.finish()
        assert encoder.mime_type is not None
        return encoder.mime_type, given


@contextmanager
def served_live(mime: str, fragments: list[Fragment]) -> Iterator[str]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            if self.path.startswith("/fragment/"):
                kind, data = "video/mp4", fragments[int(self.path.rsplit("/", 1)[1])].data
            elif self.path == "/about":
                kind, data = "application/json", json.dumps({"mime": mime, "count": len(fragments)}).encode()
            else:
                kind, data = "text/html", PAGE.encode()
            self.send_response(200)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def test_fragments_play_as_they_are_appended(new_visitor: Callable[..., Visit]) -> None:
    mime, fragments = live_fragments()
    later = next(n for n, each in enumerate(fragments) if each.kind == "picture" and each.number == KEYS)
    assert fragments[later].key
    with served_live(mime, fragments) as address:
        page = new_visitor(address).page
        for first, begins in ((1, Fraction(0)), (later, KEYS / FPS)):
            page.goto(address)
            page.evaluate(f"play({first}).catch(({{ message }}) => {{ document.title = message; throw message; }})")
            expect(page).to_have_title("live")
            expect(page.locator("#done")).to_have_text("ended")
            seen = page.evaluate("""() => ({
                size: [video.videoWidth, video.videoHeight], holes, seconds: video.currentTime,
                start: video.buffered.start(0), end: video.buffered.end(0),
                pictures: video.getVideoPlaybackQuality().totalVideoFrames, sound: video.webkitAudioDecodedByteCount,
            })""")
            assert seen["size"] == [160, 96]
            assert seen["holes"] == []
            assert seen["start"] == pytest.approx(float(begins), abs=0.03)
            assert seen["seconds"] == pytest.approx(float(FRAMES / FPS), abs=0.05)
            assert seen["end"] == pytest.approx(float(FRAMES / FPS), abs=0.05)
            assert seen["pictures"] >= 1
            assert seen["sound"] > 1000
