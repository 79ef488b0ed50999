"""What commands want their readers to see first: files in `$CHANGES_CARDS`, sent as cards of the build.

`NAME.json` is a whole message, as `changes card` writes it, and is sent at once. `NAME.md`, or
`NAME.STYLE.md`, is plain Markdown that any program can write; it is sent when the step has ended.
"""

import logging
import os
import stat
from collections.abc import Callable
from itertools import islice
from pathlib import Path

import msgspec
from msgspec.structs import replace

from changes.agent.errors import AgentError, GivenUp, NotAccepted, Refused, StepGone
from changes.agent.link import StepLink
from changes.agent.masking import masked
from changes.protocol import CardToSay

# Within the folder of the streams, which every sandbox shows; no stream has such a name.
FOLDER = ".cards"
MESSAGE, PLAIN = ".json", ".md"
FILE_MAX_BYTES = 256 * 1024
CARDS_MAX, NAMES_MAX = 200, 1000

log = logging.getLogger("changes.agent")


class Cards:
    def __init__(self, folder: Path, link: StepLink, secrets: tuple[str, ...], uid: int) -> None:
        self._folder, self._link, self._secrets, self._uid = folder, link, secrets, uid
        self._taken: set[str] = set()
        # Why some were not taken, for the log of the step.
        self.problems: list[str] = []

    def look(self, *, is_end: bool) -> None:
        """In the order of their names, so that what is added is added in the order it was said."""
        try:
            # The folder is the step's: it must not lead the agent to another place.
            folder = os.open(self._folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
        except OSError:
            return
        try:
            with os.scandir(folder) as entries:
                names = sorted(entry.name for entry in islice(entries, NAMES_MAX))
            for name in names:
                is_whole = name.endswith(MESSAGE) or (is_end and name.endswith(PLAIN))
                if is_whole and name not in self._taken and len(self._taken) < CARDS_MAX:
                    self._taken.add(name)
                    self._take(folder, name)
        finally:
            os.close(folder)

    def _take(self, folder: int, name: str) -> None:
        data = self._read(folder, name)
        if data is None:
            return
        try:
            is_plain = name.endswith(PLAIN)
            card = plain_card(name, data) if is_plain else msgspec.json.decode(data, type=CardToSay)
            self._link.post_card(self._hidden(card))
        except (msgspec.MsgspecError, NotAccepted) as error:
            self.problems.append(f"The card {name} was not taken: {error}")
        except StepGone:
            # A server of an earlier version knows no cards; that the step is over is heard elsewhere.
            log.debug("Step %s: no card is wanted any more", self._link.step_id)

    def _hidden(self, card: CardToSay) -> CardToSay:
        shown = {name: masked(getattr(card, name), self._secrets) for name in ("text", "title")}
        return replace(card, **shown)

    def _read(self, folder: int, name: str) -> bytes | None:
        """Another's file, a link or a pipe is not read in its place."""
        try:
            descriptor = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK, dir_fd=folder)
        except OSError:
            return None
        status = os.fstat(descriptor)
        with os.fdopen(descriptor, "rb") as file:
            if not stat.S_ISREG(status.st_mode) or status.st_uid != self._uid:
                return None
            data = file.read(FILE_MAX_BYTES + 1)
        if len(data) > FILE_MAX_BYTES:
            self.problems.append(f"The card {name} was not taken: it is too long")
            return None
        return data


def plain_card(name: str, data: bytes) -> CardToSay:
    """The same file again, of a step that was handed in twice, is the same card."""
    key, _, style = name.removesuffix(PLAIN).partition(".")
    return CardToSay(key=key, style=style or "info", text=data.decode(errors="replace"))


def make_folder(streams: Path, own: Callable[[Path], None]) -> Path:
    folder = streams / FOLDER
    folder.mkdir(mode=0o700)
    own(folder)
    return folder


def send(cards: Cards, on_end: Callable[[Exception], None], *, is_end: bool = False) -> None:
    """Whatever goes wrong with cards, the step goes on."""
    try:
        cards.look(is_end=is_end)
    except GivenUp:
        return
    except Refused as error:
        on_end(error)
    except (AgentError, OSError) as error:
        log.warning("A card cannot be sent: %s", error)
