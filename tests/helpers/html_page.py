"""A piece of HTML, taken apart."""

from __future__ import annotations

from html.parser import HTMLParser

VOID = {"img", "input", "br", "wbr"}


class Page(HTMLParser):
    """Elements in the order of their start, and whether every one is closed where it should be."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[tuple[tuple[str, ...], str]] = []
        self._open: list[str] = []
        self.feed(html)
        self.close()
        assert not self._open, f"left open: {self._open}"

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self._open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self._open
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.texts.append((tuple(self._open), data))

    @property
    def text(self) -> str:
        return " ".join(text for _, text in self.texts)

    def having(self, **wanted: str) -> list[dict[str, str | None]]:
        """Attributes of the elements that have these; "data_state" stands for "data-state"."""
        names = {name.replace("_", "-"): value for name, value in wanted.items()}
        return [found for _, found in self.elements if all(found.get(name) == value for name, value in names.items())]
