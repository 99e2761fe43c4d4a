"""Backends side by side: one source and one voice, rendered by each, measured, and shown together."""
