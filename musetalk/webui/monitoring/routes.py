"""`/healthz`, `/readyz` and `/metrics`, beside the page."""

from __future__ import annotations

import hmac
from dataclasses import dataclass

import gradio as gr
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from musetalk.utils.prometheus import CONTENT_TYPE, exposition
from musetalk.webui.access import Refusal, from_here, on_space
from musetalk.webui.monitoring.metrics import Metrics
from musetalk.webui.monitoring.readiness import Readiness

HEALTH, READY, METRICS = "/healthz", "/readyz", "/metrics"
_UNKEPT = {"Cache-Control": "no-store"}
_BEARER = "bearer "  # in any case, says RFC 9110
_LOOPBACK = ("127.0.0.1", "::1")


@dataclass(frozen=True, slots=True)
class Monitoring:
    """Answers machines.

    Attributes:
        readiness: Whether another job can be taken: told to everybody.
        metrics: Told to whoever has the token.
        token: Empty: told to this machine alone.
    """

    readiness: Readiness
    metrics: Metrics
    token: str = ""

    async def live(self, request: Request) -> Response:
        """Say that the process answers; looks at nothing."""
        del request
        return PlainTextResponse("ok\n", headers=_UNKEPT)

    def ready(self, request: Request) -> Response:
        """Say whether another job can be taken, and why not."""
        del request
        problems = self.readiness.problems()
        told = {"ready": not problems, "problems": problems}
        return JSONResponse(told, 503 if problems else 200, _UNKEPT)

    def figures(self, request: Request) -> Response:
        """Return all figures to whoever may know them."""
        refused = metrics_refusal(request, self.token)
        if refused is not None:
            headers = {**_UNKEPT, "WWW-Authenticate": "Bearer"} if refused.status == 401 else _UNKEPT
            return PlainTextResponse(f"{refused.problem}\n", refused.status, headers)
        return Response(exposition(self.metrics.families()), headers={**_UNKEPT, "Content-Type": CONTENT_TYPE})


def add_monitoring_routes(page: gr.Blocks, monitoring: Monitoring) -> None:
    """Answer machines beside a page that is being served."""
    answers = ((HEALTH, monitoring.live), (READY, monitoring.ready), (METRICS, monitoring.figures))
    page.app.router.routes[:0] = [Route(path, answer) for path, answer in answers]


def metrics_refusal(request: Request, token: str) -> Refusal | None:
    """Return why somebody may not read the figures; None: they may.

    They tell how much a server is used and by what it fails, which is nobody's business but its owner's.
    """
    if token:
        given = request.headers.get("authorization", "")
        word, said = given[: len(_BEARER)].lower(), given[len(_BEARER) :]
        known = word == _BEARER and hmac.compare_digest(said.encode(), token.encode())
        return None if known else Refusal(401, "send the header Authorization: Bearer TOKEN")
    near = request.client is not None and request.client.host in _LOOPBACK
    if near and from_here(request.headers.raw) and not on_space():
        return None
    return Refusal(403, "only for this machine itself: start the server with --metrics-token (MUSETALK_METRICS_TOKEN)")
