"""Text to speech: what a script says, as sound, with the times of its words and phonemes."""
