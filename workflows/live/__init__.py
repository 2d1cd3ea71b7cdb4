"""A run as it goes on: memrec status --watch."""
