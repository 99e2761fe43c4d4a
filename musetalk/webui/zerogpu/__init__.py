"""The app on a host that lends its GPU."""
