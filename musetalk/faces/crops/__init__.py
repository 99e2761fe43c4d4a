"""Crops of faces, and the way back into the frame."""
