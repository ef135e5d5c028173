"""`python -m workers.cli`: the `parom` command without its entry point, for our own child processes."""

from workers.cli import main

main()
