"""Live speech: a voice pushed as it arrives, frames and sound out as soon as they are known."""
