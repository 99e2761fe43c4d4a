"""The presenter: a script in, a finished talk out."""
