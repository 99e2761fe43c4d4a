"""Live pictures and sound through one ffmpeg: to it as AVI, back as FLV, on to players as fragmented MP4."""
