"""Enhancers: networks that give painted faces the detail they lack."""
