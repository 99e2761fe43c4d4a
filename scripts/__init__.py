"""MuseTalk's own command lines, over this pipeline: run from the root of a checkout, as there."""
