"""What routes beside the page need of it, without Gradio's own."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from starlette.applications import Starlette


def bare_page(auth: dict[str, str] | None = None, tokens: dict[str, str] | None = None) -> Any:  # noqa: ANN401
    """A page that was launched; with logins, their tokens are those of cookies."""
    app: Any = Starlette()
    app.auth, app.auth_dependency, app.cookie_id, app.tokens = auth, None, "here", tokens or {}
    return SimpleNamespace(app=app)
