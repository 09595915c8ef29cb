"""How does a server die with the process that started it? This script arranges that, then becomes the server.

Run as `python -I -S leash.py SIGNAL PARENT_PID USER COMMAND...`. On Linux the kernel sends SIGNAL to this process when the parent
ends, also after kill -9. The wish outlives exec but not a change of user, hence the user is changed here, before it. Elsewhere
only the user is changed. USER is "-" for no change.
"""

from __future__ import annotations

import ctypes
import os
import pwd
import sys

PR_SET_PDEATHSIG = 1


def become(user: str) -> None:
    """Give up root for the named user, with its groups."""
    entry = pwd.getpwnam(user)
    os.initgroups(user, entry.pw_gid)
    os.setgid(entry.pw_gid)
    os.setuid(entry.pw_uid)
    os.environ.update(HOME=entry.pw_dir, USER=user, LOGNAME=user)


def tie(to_parent: int, farewell: int) -> None:
    """Have the kernel send `farewell` when the parent ends; end now if it has ended already."""
    if sys.platform != "linux":
        return
    if ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, farewell, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "prctl(PR_SET_PDEATHSIG) failed")
    if os.getppid() != to_parent:
        sys.exit(1)


def main(arguments: list[str]) -> None:
    farewell, parent, user, *command = arguments
    if user != "-":
        become(user)
    tie(int(parent), int(farewell))
    os.execvp(command[0], command)  # noqa: S606  to become the server is the purpose


if __name__ == "__main__":
    main(sys.argv[1:])
