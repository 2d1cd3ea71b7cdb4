"""Runs side by side: what changed from the first to each of the others. memrec compare."""
