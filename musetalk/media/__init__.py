"""Everything that touches ffmpeg: probing, reading, writing, sound."""
