"""MuseTalk 1.0 and 1.5: one step of a 2D UNet that listens to Whisper features."""
