"""Crops of faces: cropping, and pasting back into the frame."""
