"""Avatars: what is found out about a source, kept in a folder, so that speaking need not look for it again."""
