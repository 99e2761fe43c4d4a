"""Avatars for frameworks in which voice agents are built: each brings its own, and is an extra of the package."""
