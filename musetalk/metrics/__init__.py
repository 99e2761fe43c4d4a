"""What can be measured of a finished render, frame by frame, against its source and its voice."""
