"""`PeerHost`: answers clients who want to speak live over WebRTC, and has them served."""

from __future__ import annotations

import asyncio
import logging

from musetalk.live.host import LiveHost
from musetalk.live.messages import Offer
from musetalk.live.webrtc.peer import Peer
from musetalk.media.ffmpeg_commands import LIVE_RATE

_log = logging.getLogger(__name__)


class PeerHost:
    """Answers clients, in the sessions of a host, with its limits. For the host's event loop.

    Args:
        host: Serves them.
    """

    def __init__(self, host: LiveHost) -> None:
        self._host = host
        self._peers: set[Peer] = set()
        self._serving: set[asyncio.Task[None]] = set()  # the loop itself forgets tasks that nobody holds

    @property
    def full(self) -> bool:
        """Whether as many are connected, or about to be, as may speak and wait."""
        return len(self._peers) >= self._host.limits.sessions + self._host.limits.waiting

    async def answer(self, offer: Offer) -> str:
        """Return the description of a connection that answers a client's, which is served from then on.

        Who does not connect within the time that a client has to say whom it wants is forgotten.

        Raises:
            LiveError: The offer cannot be used.
        """
        peer = Peer(offer.start(LIVE_RATE))
        self._peers.add(peer)
        try:
            sdp = await peer.answer(offer.sdp)
        except BaseException:
            await self._end(peer)
            raise
        serving = asyncio.create_task(self._serve(peer))
        self._serving.add(serving)
        serving.add_done_callback(self._serving.discard)
        return sdp

    async def _serve(self, peer: Peer) -> None:
        try:
            await self._host.serve(peer, peer.show)
        except Exception:  # noqa: BLE001 - nobody waits for this task
            _log.exception("a live session over WebRTC has failed")
        finally:
            await self._end(peer)

    async def _end(self, peer: Peer) -> None:
        try:
            await peer.end()
        finally:
            self._peers.discard(peer)
