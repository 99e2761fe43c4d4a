"""Finding faces and following them: detectors, shots, tracks, the face plan, crop geometry."""
