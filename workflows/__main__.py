"""`python -m workflows` is `memrec`."""

from workflows.entry import main

main()
