"""Rates, clocks, and which source frame each output frame shows."""
