"""MuseTalk's own cache of a prepared avatar: reading and writing it."""
