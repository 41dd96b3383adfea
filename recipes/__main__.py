"""`hone`, and `python -m recipes`. Ctrl-C ends it without a word until the command line is there to say one."""

import signal
import sys

if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
    signal.signal(
        signal.SIGINT, signal.SIG_DFL
    )  # imports leave nothing behind, and would show where they were

from recipes.cli import main

if __name__ == "__main__":
    sys.exit(main())
