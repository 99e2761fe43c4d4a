"""What happens to finished frames before they are encoded: labels, overlays, another size."""
