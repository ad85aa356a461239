"""Ties the program it becomes to the process that started it.

Run as a script in front of a command. A separate interpreter sets the kernel's
parent-death signal, since code between fork and exec isn't safe in a program with threads.
"""

import ctypes
import os
import signal
import sys

PR_SET_PDEATHSIG = 1


def main() -> None:
    parent, command = int(sys.argv[1]), sys.argv[2:]
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "prctl(PR_SET_PDEATHSIG)")
    # The parent may have died before the signal was asked for.
    if os.getppid() == parent:
        os.execv(command[0], command)


if __name__ == "__main__":
    main()
