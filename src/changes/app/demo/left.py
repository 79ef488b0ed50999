"""What steps leave behind besides their report: a coverage report, packages, pictures of what failed."""

import io
import re
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from functools import cache
from typing import Any

from changes.app.demo.play import Ran
from changes.app.demo.suites import Run
from changes.builds.rules import Result
from changes.results import test_files

WIDTH, HEIGHT = 480, 300
PICTURES_MAX = 3
IN_REPORT = "last-screen.png"
SKY, BAR, CARD, WRONG, INK = (
    (241, 243, 245),
    (23, 106, 110),
    (255, 255, 255),
    (255, 233, 230),
    (131, 134, 139),
)
STYLE = """body { font: 15px system-ui, sans-serif; margin: 2rem; color: #1d1f23; }
table { border-collapse: collapse; }
td, th { padding: .3rem 1rem; border-bottom: 1px solid #dfe3e8; text-align: left; }
.bar { display: inline-block; height: .6rem; background: #2da44e; border-radius: 3px; }
"""
SCRIPT = """for (const row of document.querySelectorAll("tr[data-share]")) {
  const bar = document.createElement("span");
  bar.className = "bar";
  bar.style.width = row.dataset.share + "px";
  row.lastElementChild.prepend(bar);
}
"""
NOTES = """# What this step did

It built the package, ran the tests and measured what they cover.

| What | Where |
| --- | --- |
| Package | `dist/` |
| Coverage | [htmlcov](htmlcov/index.html) |

![How long each part took](timings.svg)

```
make test
```
"""
DRAWING = """<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 400 90" width="400" height="90">
<style>text { font: 12px system-ui, sans-serif; }</style>
<rect x="90" y="10" width="60" height="16" fill="#3b8eea"/><text x="10" y="23">checkout</text>
<rect x="150" y="36" width="90" height="16" fill="#3a9fc0"/><text x="10" y="49">build</text>
<rect x="240" y="62" width="150" height="16" fill="#2da44e"/><text x="10" y="75">tests</text>
</svg>
"""


def phases(commands: Sequence[Ran]) -> dict[str, Any]:
    """What one long script tells of itself; one that failed did so at its end."""
    told = []
    for ran in commands:
        if ran.return_code is None or ran.date_started is None or ran.date_finished is None:
            continue
        took_ms = (ran.date_finished - ran.date_started).total_seconds() * 1000
        for place, (name, share) in enumerate(ran.shape.phases, start=1):
            code = ran.return_code if place == len(ran.shape.phases) else 0
            told.append({"name": name, "return_code": code, "duration_ms": round(took_ms * share)})
    return {"phases": told} if told else {}


def files(runs: Sequence[Run]) -> Iterator[tuple[str, bytes]]:
    """Names and bytes; all but the pictures are the same each time, as much of what is built really is."""
    yield from same_each_time()
    failed = [run for run in runs if run.result == Result.FAILED][:PICTURES_MAX]
    for run in failed:
        folder = f"test-results/{slug(run.test.full_name)}"
        yield f"{folder}/test-failed-1.png", picture(len(run.test.full_name))
        yield f"{folder}/console.log", f"{run.message}\n".encode()
    # As if its report had brought it.
    for run in failed[:1]:
        yield f"{test_files.folder_of(run.test.full_name)}/{IN_REPORT}", picture(len(run.test.name))


def slug(name: str) -> str:
    return re.sub("[^a-z0-9]+", "-", name.lower()).strip("-")


@cache
def same_each_time() -> tuple[tuple[str, bytes], ...]:
    modules = (("core/api.py", 96), ("core/queue.py", 88), ("web/pages.py", 71))
    rows = "".join(
        f'<tr data-share="{share}"><td>{name}</td><td>{share} %</td></tr>' for name, share in modules
    )
    page = (
        '<!doctype html><html lang="en"><head><meta charset="utf-8"><title>Coverage</title>'
        '<link rel="stylesheet" href="style.css"></head><body><h1>Coverage</h1>'
        f'<table><tr><th>Module</th><th>Covered</th></tr>{rows}</table><script src="report.js"></script>'
        "</body></html>"
    )
    return (
        ("README.md", NOTES.encode()),
        ("dist/package-1.4.0-py3-none-any.whl", wheel()),
        ("dist/package-1.4.0.tar.gz", source()),
        ("htmlcov/index.html", page.encode()),
        ("htmlcov/report.js", SCRIPT.encode()),
        ("htmlcov/style.css", STYLE.encode()),
        ("timings.svg", DRAWING.encode()),
    )


def wheel() -> bytes:
    kept = io.BytesIO()
    with zipfile.ZipFile(kept, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("package/__init__.py", '"""The package."""\n\n__version__ = "1.4.0"\n')
        archive.writestr("package/queue.py", "def first(waiting):\n    return min(waiting, default=None)\n")
        archive.writestr("package-1.4.0.dist-info/METADATA", "Name: package\nVersion: 1.4.0\n")
    return kept.getvalue()


def source() -> bytes:
    kept = io.BytesIO()
    with tarfile.open(fileobj=kept, mode="w:gz") as archive:
        for name, text in (
            ("package/setup.cfg", "[metadata]\nname = package\n"),
            ("package/LICENSE", "MIT\n"),
        ):
            info = tarfile.TarInfo(name)
            info.size = len(text)
            archive.addfile(info, io.BytesIO(text.encode()))
        link = tarfile.TarInfo("package/latest")
        link.type, link.linkname = tarfile.SYMTYPE, "../package"
        archive.addfile(link)
    return kept.getvalue()


@cache
def picture(seed: int) -> bytes:
    """As a browser shows a page of ours that went wrong, from far away."""
    rows = b"".join(b"\0" + b"".join(bytes(colour(x, y, seed)) for x in range(WIDTH)) for y in range(HEIGHT))
    head = struct.pack(">IIBBBBB", WIDTH, HEIGHT, 8, 2, 0, 0, 0)
    parts = ((b"IHDR", head), (b"IDAT", zlib.compress(rows)), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunk(*part) for part in parts)


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def colour(x: int, y: int, seed: int) -> tuple[int, int, int]:
    top, line, inset, edge = 36, 22, 24, 90
    if y < top:
        return BAR
    within = inset < x < WIDTH - inset and top + inset < y < HEIGHT - inset
    if not within:
        return SKY
    if y < edge:
        return WRONG
    is_line = y % line < line // 3 and x < WIDTH - inset - (y // line * seed * 13) % (WIDTH // 2) - inset
    return INK if is_line and x > inset * 2 else CARD
