"""The backends that paint the mouth, and their registry."""
