"""A room of LiveKit's that is nowhere, and what its tracks carry. To be imported where livekit-agents is installed."""

from __future__ import annotations

from dataclasses import dataclass, field

from livekit import rtc


@dataclass
class Publication:
    track: rtc.LocalAudioTrack | rtc.LocalVideoTrack
    sid: str = "TR_here"

    @property
    def kind(self) -> rtc.TrackKind.ValueType:
        return self.track.kind

    async def wait_for_subscription(self) -> None:
        """Everybody has subscribed."""


@dataclass
class Agent:
    """The agent's own participant."""

    identity: str = "agent"
    refuses: bool = False
    track_publications: dict[str, Publication] = field(default_factory=dict)

    async def publish_track(
        self, track: rtc.LocalAudioTrack | rtc.LocalVideoTrack, _options: rtc.TrackPublishOptions
    ) -> Publication:
        if self.refuses:
            raise RuntimeError("no permission to publish")
        self.track_publications[track.name] = Publication(track)
        return self.track_publications[track.name]


class Room(rtc.EventEmitter[str]):
    """Connected, with nobody else in it."""

    name = "nowhere"

    def __init__(self, *, refuses: bool = False) -> None:
        super().__init__()
        self.local_participant = Agent(refuses=refuses)
        self.remote_participants: dict[str, object] = {}

    def isconnected(self) -> bool:
        return True

    def track(self, name: str) -> rtc.LocalAudioTrack | rtc.LocalVideoTrack:
        return self.local_participant.track_publications[name].track
