"""The command as a process of its own, from which modules can be hidden."""

import subprocess
import sys
from pathlib import Path

from tests.processes import ROOT

HIDING = """
import runpy, sys
hidden, sys.argv = sys.argv[1].split(","), ["chainzrule", *sys.argv[2:]]
sys.modules.update(dict.fromkeys(filter(None, hidden)))  # None: not to be found
{before}
try:
    runpy.run_module("chainzrule", run_name="__main__", alter_sys=True)
finally:
    loaded = sorted({{name.partition(".")[0] for name, module in sys.modules.items() if module is not None}})
    print("loaded:", *loaded, "chainzrule.training" if "chainzrule.training" in sys.modules else "", file=sys.stderr)
"""


def without(modules: str, *arguments: str, cwd: Path = ROOT, before: str = "") -> tuple[int, str, str, set[str]]:
    """Run `chainzrule` where these modules, separated by commas, are not installed.

    Returns:
        The exit code, what was printed on standard output and on standard error, and which packages were imported.
    """
    done = subprocess.run(
        [sys.executable, "-c", HIDING.format(before=before), modules, *arguments],
        cwd=cwd,
        env={"PYTHONPATH": str(ROOT), "PATH": ""},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    said, _, loaded = done.stderr.rpartition("loaded:")
    return done.returncode, done.stdout, said, set(loaded.split())
