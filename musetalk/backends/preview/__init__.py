"""The preview backend: a mouth warp without weights."""
