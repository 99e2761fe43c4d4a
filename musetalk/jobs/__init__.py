"""Jobs: renders in a queue on disk, which go on when the page that started them is closed."""
