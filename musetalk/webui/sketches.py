"""The last previewed frame of each of the visitors who were here last."""

from __future__ import annotations

from collections import OrderedDict
from threading import Lock

from musetalk.webui.drawing import Sketch


class LastSketches:
    """Sketches by visit, so that overlays are drawn without another preview. Safe to share between threads.

    Args:
        most: Visits of which one is kept; some 4 MiB each.
    """

    def __init__(self, most: int = 16) -> None:
        self._most = most
        self._kept: OrderedDict[str, Sketch] = OrderedDict()
        self._lock = Lock()

    def keep(self, visit: str, sketch: Sketch) -> None:
        """Keep the last one of a visit, and let go of that of the visit that was quiet longest."""
        with self._lock:
            self._kept[visit] = sketch
            self._kept.move_to_end(visit)
            while len(self._kept) > self._most:
                self._kept.popitem(last=False)

    def get(self, visit: str) -> Sketch | None:
        """The last one of a visit; None if there is none, or it was let go."""
        with self._lock:
            if visit not in self._kept:
                return None
            self._kept.move_to_end(visit)
            return self._kept[visit]

    def drop(self, visit: str) -> None:
        """Let go of the one of a visit, if there is one."""
        with self._lock:
            self._kept.pop(visit, None)
