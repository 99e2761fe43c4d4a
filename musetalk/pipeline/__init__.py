"""The stages of a render, from preflight to the report, and what they exchange."""
