"""What a voice tells a face: its envelope now, Whisper features later."""
