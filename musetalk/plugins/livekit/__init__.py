"""An avatar as the face of an agent of LiveKit, on one's own machine and without an account: docs/live_agents.md."""

try:
    import livekit.agents  # noqa: F401 - all below needs it
except ImportError as error:
    raise ImportError(
        'the package livekit-agents is missing: pip install ".[livekit]" in the checkout', name=error.name
    ) from error

from musetalk.plugins.livekit.avatar_session import AvatarSession
from musetalk.plugins.livekit.generator import FaceGenerator
from musetalk.plugins.livekit.voice_output import VoiceOutput

__all__ = ["AvatarSession", "FaceGenerator", "VoiceOutput"]
