"""Pictures and animations as sources."""
