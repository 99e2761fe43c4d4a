"""Live speech over WebRTC: docs/live.md."""

try:
    import aiortc  # noqa: F401 - all below needs it
except ImportError as error:
    raise ImportError(
        'the package aiortc is missing: pip install ".[webrtc]" in the checkout', name=error.name
    ) from error
