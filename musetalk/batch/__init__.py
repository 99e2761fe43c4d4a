"""Many renders from one file: read, checked, each done once however often it is asked for, and accounted for."""
