"""Detectors: faces in single frames."""
