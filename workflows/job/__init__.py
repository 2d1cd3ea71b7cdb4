"""A job on a Ray cluster: the driver, its trainings and its actors."""
