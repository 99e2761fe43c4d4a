"""Masks, and putting generated faces back into their frames."""
