"""A network between a client and a server of this machine, which can stand still for a while; nothing is lost."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from urllib.parse import urlsplit

_BLOCK = 2**16


@dataclass
class Network:
    """The way to a server, by which clients reach it at `address`."""

    address: str
    _flows: threading.Event = field(default_factory=threading.Event)
    _ends: list[socket.socket] = field(default_factory=list)

    @contextmanager
    def standing_still(self) -> Iterator[None]:
        """Hold all bytes, of both directions, inside the `with` block."""
        self._flows.clear()
        try:
            yield
        finally:
            self._flows.set()

    def join(self, client: socket.socket, server: socket.socket) -> None:
        """Carry bytes between two connections."""
        self._ends += (client, server)
        for source, target in ((client, server), (server, client)):
            threading.Thread(target=self._carry, args=(source, target), daemon=True).start()

    def close(self) -> None:
        """End all connections."""
        self._flows.set()
        for end in self._ends:
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
            end.close()

    def _carry(self, source: socket.socket, target: socket.socket) -> None:
        with suppress(OSError):
            while block := source.recv(_BLOCK):
                self._flows.wait()
                target.sendall(block)
        with suppress(OSError):
            target.shutdown(socket.SHUT_WR)


@contextmanager
def network_to(address: str) -> Iterator[Network]:
    """The way to the server at an address, open while the `with` block runs."""
    server = urlsplit(address)
    with socket.create_server(("127.0.0.1", 0)) as listening:
        network = Network(f"http://127.0.0.1:{listening.getsockname()[1]}/")
        network._flows.set()

        def accept() -> None:
            with suppress(OSError):  # it listens no more
                while True:
                    client, _ = listening.accept()
                    network.join(client, socket.create_connection((server.hostname or "", server.port or 80)))

        threading.Thread(target=accept, daemon=True).start()
        try:
            yield network
        finally:
            with suppress(OSError):
                listening.shutdown(socket.SHUT_RDWR)
            network.close()
