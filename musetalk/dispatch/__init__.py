"""Renders of a server that others make: its jobs are handed to the workers of an executor."""
