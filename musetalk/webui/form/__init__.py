"""The settings' form."""
