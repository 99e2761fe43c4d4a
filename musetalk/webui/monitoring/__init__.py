"""What machines ask of a server that runs: whether it lives, whether it takes work, how it does."""
