"""What is asked for: the experiment's file, as typed and validated objects."""
