"""Points of a face: 68 landmarks, five points, and their smoothing."""
