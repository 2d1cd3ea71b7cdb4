"""The batch jobs of memrec. Knows Ray and a run's files; all the science that it calls is in memrec_core."""
