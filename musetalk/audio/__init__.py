"""Audio: the envelope of a voice, its pauses, and its Whisper features."""
