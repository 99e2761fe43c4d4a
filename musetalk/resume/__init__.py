"""Renders that go on where they stopped: their output in parts, each whole or absent, until they are joined."""
