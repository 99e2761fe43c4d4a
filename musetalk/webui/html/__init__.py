"""Pieces of the page as HTML, from pure functions."""
