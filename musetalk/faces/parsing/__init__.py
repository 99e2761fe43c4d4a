"""What a face's pixels show: labels, and what is told from them."""
