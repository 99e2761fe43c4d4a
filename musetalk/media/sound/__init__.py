"""The voice, and the sound of any file."""
