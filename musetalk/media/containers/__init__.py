"""What files say of themselves: formats, streams, packets, timestamps, damage."""
