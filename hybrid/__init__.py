"""LatentSync's network where MuseTalk's would be: what it is, what it is given, how it is sampled."""
