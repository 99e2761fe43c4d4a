"""From detections to a plan: shots, tracks, mouths."""
