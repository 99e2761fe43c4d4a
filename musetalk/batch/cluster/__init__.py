"""Batches on a Ray cluster: the workers, and the pool that the driver has of them."""
