"""Priming samples that decoders of Windows Media Audio output before the sound.

ffmpeg leaves out two frames there, as many as Microsoft's encoder puts in front, and its clock goes on meanwhile; its
own encoder puts in one.
"""

from __future__ import annotations

from fractions import Fraction

# What tells ffmpeg's encoder, which knows neither a reservoir of bits nor blocks of several lengths, from others: the
# checksum (Adler-32, begun with 0) of what it writes as the codec's private data.
_PLAIN = {"wmav1": "4, 0x00020001", "wmav2": "10, 0x00060001"}
_FRAMES = ((16_000, 512), (22_050, 1024))  # up to that rate in Hz so many samples are a frame
_LONGEST_FRAME = 2048
_FIRST_VERSIONS_LIMIT = 32_000  # Hz up to which version 1 has frames of 1024


def wma_priming(codec: str, rate: int, private: str) -> Fraction:
    """Return the seconds that are decoded before the sound begins; 0 for other codecs.

    Args:
        codec: In ffmpeg's words.
        rate: Hz.
        private: Length and checksum of the codec's private data, as ffmpeg's `framecrc` tells them: "10, 0x00060001".
    """
    if codec not in _PLAIN or rate <= 0:
        return Fraction(0)
    frame = next((samples for highest, samples in _FRAMES if rate <= highest), _LONGEST_FRAME)
    if codec == "wmav1" and rate <= _FIRST_VERSIONS_LIMIT:
        frame = min(frame, 1024)
    return Fraction((1 if private == _PLAIN[codec] else 2) * frame, rate)
