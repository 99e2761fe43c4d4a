"""Renders that outlive whoever asked for them: on disk, in a queue, watched from anywhere."""
