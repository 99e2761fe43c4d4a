"""What other people's programs load of this one: each folder by itself."""
