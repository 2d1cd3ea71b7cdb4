"""Questions in SQL to a run: memrec query."""
