"""Where does a measured process spend its time? `python -m benchmarks.profiled OUT MODULE ...` runs a module under cProfile.

The clock is the main thread's CPU time, so other processes on the machine do not show.
"""

from __future__ import annotations

import cProfile
import runpy
import sys
import time


def main() -> None:
    """Run the module as `python -m` would; write the profile when it ends, also by SystemExit."""
    out, module, *arguments = sys.argv[1:]
    sys.argv = [module, *arguments]
    profile = cProfile.Profile(time.thread_time)
    try:
        profile.runcall(runpy.run_module, module, run_name="__main__", alter_sys=True)
    finally:
        profile.dump_stats(out)


if __name__ == "__main__":
    main()
