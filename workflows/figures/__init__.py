"""The figures and tables of the paper, of a run: memrec figures."""
