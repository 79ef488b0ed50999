"""Shows a build while it runs: each change of state, and what its steps print."""

import sys
from dataclasses import dataclass, field
from typing import Any

from changes.app.cli.asking import verdict
from changes.app.cli.output import tell
from changes.app.cli.server import ERRORS_FROM, Server

# Between two looks at the logs; a change of state is told at once.
LOOK_EVERY_S = 1
# Of more steps at once the rest is shown when these have ended.
STEPS_AT_ONCE = 8
FINISHED = "finished"


@dataclass
class Shown:
    """How far the log of a step was shown, and the piece of a line that has no end yet."""

    label: str
    offset: int = 0
    rest: bytes = b""
    is_over: bool = False


@dataclass
class Follower:
    asked: Server
    build_id: str
    shown: dict[str, Shown] = field(default_factory=dict)
    said: set[str] = field(default_factory=set)

    def follow(self) -> dict[str, Any]:
        """Until it has ended; its answer."""
        wait_s = 0
        while True:
            build: dict[str, Any] = self.asked.get(f"/builds/{self.build_id}/", wait_s=wait_s)
            self.say(verdict(build))
            is_over = build["status"]["id"] == FINISHED
            self.show_steps(build, is_over=is_over)
            if build["waiting"] and wait_s:
                self.say(f"  {build['waiting']}")
            if is_over:
                for why in build["failures"]:
                    self.say(f"  {why['text']}")
                return build
            wait_s = LOOK_EVERY_S

    def say(self, text: str) -> None:
        if text not in self.said:
            self.said.add(text)
            tell(text)

    def show_steps(self, build: dict[str, Any], *, is_over: bool) -> None:
        alive = 0
        for job in build["jobs"]:
            if job["status"]["id"] == "queued":
                continue
            for phase in self.asked.get(f"/jobs/{job['id']}/phases/"):
                for step in phase["steps"]:
                    shown = self.shown.setdefault(step["id"], Shown(job["name"]))
                    if shown.is_over or (alive >= STEPS_AT_ONCE and not is_over):
                        continue
                    has_ended = step["status"]["id"] == FINISHED
                    alive += not has_ended
                    self.show_log(step["id"], shown, is_whole=has_ended)
                    shown.is_over = has_ended

    def show_log(self, step_id: str, shown: Shown, *, is_whole: bool) -> None:
        """One that has printed nothing yet has no log."""
        path = f"/jobsteps/{step_id}/logs/console/"
        answer = self.asked.send("GET", path, None, {}, raw=1, offset=shown.offset)
        if answer.status >= ERRORS_FROM:
            return
        shown.offset += len(answer.body)
        *lines, shown.rest = (shown.rest + answer.body).split(b"\n")
        if is_whole and shown.rest:
            lines.append(shown.rest)
        for each in lines:
            sys.stdout.buffer.write(shown.label.encode() + b" | " + each + b"\n")
        sys.stdout.buffer.flush()
