"""An audit as a run: from the command's options to an experiment, and from the run's rows to a verdict."""
