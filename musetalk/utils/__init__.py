"""What any part of the program may use: arrays, files, text, caches."""
