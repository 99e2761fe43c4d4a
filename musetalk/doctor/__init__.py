"""The surgical check: what each network is given here, seen while it runs, and what no import needs."""
