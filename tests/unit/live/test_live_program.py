"""What `python -m musetalk.live` says of its options."""

from __future__ import annotations

import socket

import pytest

from musetalk.live.__main__ import main


@pytest.mark.parametrize(
    ("option", "value", "said"),
    [
        ("--port", "x", "0 to 65535"),
        ("--port", "65536", "0 to 65535"),
        ("--sessions", "0", "1 or more"),
        ("--waiting", "-1", "0 or more"),
        ("--origin", "example.org", "https://example.org"),
        ("--origin", "https://example.org/page", "https://example.org"),
    ],
)
def test_options_that_cannot_be_are_told(
    capsys: pytest.CaptureFixture[str], option: str, value: str, said: str
) -> None:
    with pytest.raises(SystemExit) as ended:
        main([option, value])
    told = capsys.readouterr().err
    assert ended.value.code == 2
    assert value in told
    assert said in told


def test_an_address_that_is_taken_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        assert main(["--port", str(port)]) == 1
    told = capsys.readouterr().err
    assert told.startswith(f"musetalk: 127.0.0.1:{port} cannot be listened on (Address already in use): ")
