"""A run of an experiment: its folder, its plan, and what is in its files."""
