"""The page's tabs: widgets, handlers, wiring."""
