"""`hone`, and `python -m recipes`. Ctrl-C ends it without a word until the command line is there to say one."""

import atexit
import os
import signal
import sys

if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
    signal.signal(
        signal.SIGINT, signal.SIG_DFL
    )  # imports leave nothing behind, and would show where they were

from recipes.cli import EXIT_INTERRUPTED, EXIT_TERMINATED, main


def run() -> int:
    """The command of `sys.argv`. One that was stopped ends here: a thread that still starts engines would bring the
    interpreter's own end down, and with it the status."""
    status = main()
    if status in (EXIT_INTERRUPTED, EXIT_TERMINATED):
        atexit._run_exitfuncs()
        sys.stdout.flush()
        os._exit(status)
    return status


if __name__ == "__main__":
    sys.exit(run())
