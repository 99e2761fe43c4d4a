"""Which of several requests of a visitor is the newest; results of older ones are dropped."""

from __future__ import annotations

import itertools

from musetalk.utils.lru_cache import LRUCache

_KEPT = 4096  # visitors' inputs; some hundred bytes each


class Turns:
    """Counts requests. Safe to share between threads."""

    def __init__(self) -> None:
        self._count = itertools.count()
        self._newest: LRUCache[str, int] = LRUCache(_KEPT)
        self._answers: LRUCache[tuple[str, str], bool] = LRUCache(_KEPT)

    def begin(self, whose: str) -> int:
        """Return a request's turn, after which those before it are no longer wanted."""
        turn = next(self._count)
        self._newest.keep(whose, turn)
        return turn

    def answered(self, whose: str, turn: int, answer: str) -> bool:
        """Note what came of a turn; returns whether that is still wanted."""
        wanted = self._newest.get(whose) in (turn, None)
        if wanted:
            self._answers.keep((whose, answer), True)
        return wanted

    def heed(self, whose: str, value: str) -> None:
        """Take a value that comes of no turn for a newer wish than all that are under way."""
        if self._answers.get((whose, value)) is None:
            self.begin(whose)
