"""What the field of a setting may say of it, in its metadata, under these keys."""

SHARED = "shared"
"""What the setting is called among those that several methods share; its own name where there is none."""
BEFORE = "before"
"""The value of a setting that is newer than some runs, with which their rows were made. A run that does not have the
setting has this value, and with it a unit has the name that it had."""
