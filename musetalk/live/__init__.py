"""Serving live speech: clients push a voice over a socket, and are sent the video that speaks it."""
