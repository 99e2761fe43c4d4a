"""Pictures drawn for the page."""
