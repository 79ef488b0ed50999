"""Removes a folder at once for all who look for it by its name, then byte by byte."""

import secrets
import shutil
from contextlib import suppress
from pathlib import Path


def remove_folder(path: Path) -> None:
    rubbish = path.with_name(f"{path.name}.{secrets.token_hex(4)}.old")
    with suppress(FileNotFoundError):
        path.rename(rubbish)
        shutil.rmtree(rubbish)
