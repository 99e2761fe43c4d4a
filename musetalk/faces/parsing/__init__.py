"""Face parsing: labels of pixels, and extent and points derived from them."""
