"""One step, from the offer to the report the server has accepted."""

import logging
import secrets
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from msgspec.structs import replace as replace_fields

from changes.agent import verdict as verdicts
from changes.agent.artifacts import ArtifactSender, Collection
from changes.agent.checkout import Logins, Origin
from changes.agent.commands import Outcome, Place, run_command
from changes.agent.courier import Courier
from changes.agent.errors import AgentError, BadOffer, GivenUp, NotAccepted, Refused, StepGone
from changes.agent.keeping.bringing import Ground as Standing
from changes.agent.keeping.keeper import Keeper
from changes.agent.keeping.stock import Stock
from changes.agent.kept_log import LOG_MAX_BYTES, MEGABYTE, Rules
from changes.agent.link import Link
from changes.agent.logs import Console
from changes.agent.masking import masked
from changes.agent.mirrors import Mirrors
from changes.agent.offers import inside, source_of
from changes.agent.processes import kill_children_of_thread
from changes.agent.sandboxes import choice, housing
from changes.agent.sandboxes.choice import Choice
from changes.agent.sandboxes.housing import Housing
from changes.agent.sandboxes.role import Ground, Layer, Sandbox
from changes.agent.side_logs import SideLogs, Sifting
from changes.agent.spool import Running, Spool, StepFolder
from changes.agent.stopping import StopOrder, StopReason
from changes.agent.verdict import ABORTED, PASSED, TEARDOWN, Verdict
from changes.protocol import Checkout, CommandOffer, CommandReport, StepOffer, StepReport
from changes.vcs.errors import PatchDoesNotApply, VcsError

# Cleaning up after a step whose time is up, or that was cancelled, must not take for ever either.
LATE_TEARDOWN_S = 60.0
CHECKOUT_BREAK_S = 0.02

log = logging.getLogger("changes.agent")


@dataclass(frozen=True)
class Tools:
    """What all steps of an agent share."""

    link: Link
    spool: Spool
    mirrors: Mirrors
    is_alone: Callable[[], bool]
    on_refused: Callable[[Refused], None]
    housing: Housing
    stock: Stock


class StepRun:
    """`run` takes as long as the step and its delivery; `stop` may be called from any thread."""

    def __init__(self, offer: StepOffer, folder: StepFolder, tools: Tools) -> None:
        self.offer = offer
        self._folder = folder
        self._tools = tools
        self._order = StopOrder()
        # Of what cleans up after a step that was cancelled: only an agent that stops ends that, too.
        self._late_order = StopOrder()
        self._mark = secrets.token_hex(16)
        self._secrets = tuple(filter(None, (*offer.secrets.values(), offer.token)))
        self._sandbox: Sandbox | None = None
        self._link = tools.link.for_step(offer.id, self._order.is_aborted)
        self._commands: list[CommandReport] = []
        self._is_checking_out = False
        self._logins = Logins(self._link.logins)
        folder.note_running(Running(self._mark))

    @property
    def is_aborted(self) -> bool:
        return self._order.is_aborted()

    def stop(self, reason: StopReason) -> None:
        self._order.give(reason)
        if reason == "agent_stopped":
            self._late_order.give(reason)
        self._tools.link.retrying.wake()
        if self._is_checking_out:
            threading.Thread(target=self._break_checkout, args=[self._thread_id], daemon=True).start()

    def run(self) -> None:
        started_at = time.monotonic()
        self._thread_id = threading.get_native_id()
        rules = self._rules()
        self._courier = Courier(self._link, self._folder.console, self._on_end, self._tools.is_alone)
        self._console = Console(self._folder.console, self._courier.console_grew, rules)
        account = self._tools.housing.account
        account.own(self._console.pipe)
        self._side_logs = SideLogs(self._folder, self._link, Sifting(rules, account), self._on_end)
        self._artifacts = ArtifactSender(self._link, self._console.say, self._on_end)
        try:
            verdict = self._work()
        finally:
            self._end_processes()
        self._hand_in(self._report(verdict, started_at))

    def _rules(self) -> Rules:
        asked_bytes = self.offer.limits.log_mb * MEGABYTE
        return Rules(self._secrets, min(asked_bytes or LOG_MAX_BYTES, LOG_MAX_BYTES))

    def _work(self) -> Verdict:
        try:
            source = source_of(self.offer, self._folder)
            for wanted in filter(None, (self.offer.checkout, *self.offer.other_checkouts)):
                verdict = self._check_out(wanted)
                if verdict is not PASSED:
                    return verdict
            source.mkdir(parents=True, exist_ok=True)
            chosen = choice.choose(self.offer, self._tools.housing.offered)
            if chosen.problem:
                return self._complain(Verdict("infra_failed", choice.REASON, chosen.problem))
            return self._work_in(chosen, source)
        except BadOffer as error:
            return self._complain(Verdict("infra_failed", "bad_offer", str(error)))
        except OSError as error:
            # A full disk, no more processes: nothing the step is to blame for.
            return self._complain(Verdict("infra_failed", "agent_error", f"The agent cannot go on: {error}"))

    def _work_in(self, chosen: Choice, source: Path) -> Verdict:
        ground = Standing(self.offer, self._folder, self._tools.housing.account, self._console.say)
        keeper = Keeper(ground, self._tools.stock, self._link)
        try:
            is_set_up = keeper.snapshot.bring(chosen.kind, source)
            keeper.bring_caches(source, self.offer.env)
            verdict = self._run_commands(
                self._place(chosen, source, keeper.snapshot.layers), is_set_up=is_set_up
            )
            if verdict is PASSED:
                self._keep(keeper, source)
        except NotAccepted as error:
            return self._complain(
                Verdict("infra_failed", "snapshot_failed", f"There is no snapshot: {error}")
            )
        except (StepGone, Refused, GivenUp) as error:
            self._on_end(error)
            return ABORTED
        return verdict

    def _keep(self, keeper: Keeper, source: Path) -> None:
        if self.offer.expected_snapshot or keeper.caches:
            # Nobody is to change what is being packed.
            self._end_processes()
        if self.offer.expected_snapshot:
            keeper.keep_snapshot(source)
        keeper.keep_caches(source)

    def _place(self, chosen: Choice, source: Path, layers: tuple[Layer, ...]) -> Place:
        """The sandbox starts with its first command."""
        housed = self._tools.housing
        limits = housing.limits_for(self.offer.limits, is_trusted=self.offer.trusted)
        group = housed.group_for(self._folder.step_id, chosen.kind, limits)
        ground = Ground(
            folder=self._folder,
            mark=self._mark,
            account=housed.account,
            console=self._console.pipe,
            group=group,
            limits=limits,
            image=self.offer.image,
            has_network=chosen.has_network,
            is_trusted=self.offer.trusted,
            hidden=housed.hidden,
            readable=self._tools.mirrors.borrowed_by(self._folder.path),
            layers=layers,
            home=housed.home,
        )
        self._sandbox = housed.sandbox(chosen, ground)
        return Place(
            folder=self._folder,
            source=source,
            env={**self.offer.env, **(self.offer.secrets if self.offer.trusted else {})},
            mark=self._mark,
            sandbox=self._sandbox,
            account=housed.account,
            console=self._console.pipe,
            infra=lambda: self._side_logs.infra.pipe,
            group=group,
            secrets=self._secrets,
        )

    def _check_out(self, wanted: Checkout) -> Verdict:
        self._is_checking_out = True
        try:
            self._prepare(wanted)
        except PatchDoesNotApply as error:
            return self._complain(
                Verdict("failed", "patch_failed", f"The patch does not apply to {wanted.sha}: {error}")
            )
        except (VcsError, NotAccepted) as error:
            message = f"Could not check out {wanted.sha} into {wanted.path}: {error}"
            return self._complain(Verdict("infra_failed", "checkout_failed", message))
        except (StepGone, Refused, GivenUp) as error:
            self._on_end(error)
            return ABORTED
        finally:
            self._is_checking_out = False
        return ABORTED if self._order.is_given else PASSED

    def _prepare(self, wanted: Checkout) -> None:
        origin = Origin(self._tools.mirrors, wanted, self._logins, self._folder.path)
        if wanted is not self.offer.checkout:
            beside = origin.check_out(inside(self._folder.work, wanted.path))
            self._console.say(f"Checked out {beside.sha} of {beside.mirror.url} into {wanted.path}")
            return
        into = source_of(self.offer, self._folder)
        tree = origin.check_out(into)
        if wanted.has_patch and not self._order.is_given:
            tree.mirror.apply_patch(into, self._link.patch())

    def _run_commands(self, place: Place, *, is_set_up: bool) -> Verdict:
        verdict = PASSED
        timeout_s = self.offer.timeout_s
        ends_at = None if timeout_s is None else time.monotonic() + timeout_s
        collection = Collection(place.source, self._folder.artifacts)
        for number, command in enumerate(self.offer.commands):
            if self._order.is_given:
                self._clean_up(self.offer.commands[number:] if number else [], place)
                return ABORTED
            if not verdicts.is_to_run(command, verdict):
                continue
            if verdict.reason == "timeout" and command.type == TEARDOWN:
                ends_at = time.monotonic() + LATE_TEARDOWN_S
            if is_set_up and command.type in verdicts.SET_UPS:
                self._pass_over(command)
                continue
            outcome = self._run(command, place, self._order, ends_at)
            verdict = verdicts.after(command, outcome, verdict)
            if verdicts.leaves_artifacts(command, outcome):
                for artifact in collection.take(command.artifacts, self._console.say):
                    self._artifacts.send(artifact)
        return verdict

    def _clean_up(self, left: Sequence[CommandOffer], place: Place) -> None:
        """The server wants no more of it and has ended the step; what was set up is put away all the same."""
        ends_at = time.monotonic() + LATE_TEARDOWN_S
        for command in left:
            is_wanted = self._order.is_aborted() and not self._late_order.is_given
            if command.type == TEARDOWN and is_wanted:
                self._run(command, place, self._late_order, ends_at)

    def _run(self, command: CommandOffer, place: Place, order: StopOrder, ends_at: float | None) -> Outcome:
        self._console.say(f"$ {verdicts.title(command)}")
        self._courier.tell_progress(CommandReport(id=command.id, status="in_progress"))
        outcome = run_command(command, place, order, ends_at)
        if outcome.output:
            self._console.say(outcome.output.removesuffix("\n"))
        self._console.say(verdicts.outcome_line(outcome))
        report = verdicts.command_report(command, outcome)
        self._commands.append(report)
        self._courier.tell_progress(report)
        return outcome

    def _pass_over(self, command: CommandOffer) -> None:
        self._console.say(f"$ {verdicts.title(command)}\n[not needed: the snapshot has it]")
        report = CommandReport(id=command.id, status="finished", return_code=0, duration_ms=0)
        self._commands.append(report)
        self._courier.tell_progress(report)

    def _complain(self, verdict: Verdict) -> Verdict:
        self._console.say(verdict.message or "")
        return verdict

    def _end_processes(self) -> None:
        if self._sandbox is not None:
            self._sandbox.end(is_alone=self._tools.is_alone())
            self._sandbox = None

    def _report(self, verdict: Verdict, started_at: float) -> StepReport:
        duration_ms = round((time.monotonic() - started_at) * 1000)
        # What its commands had come to already is not done once more.
        is_done = verdict.result in ("passed", "failed") and bool(self._commands)
        if self._order.reason == "agent_stopped" and not is_done:
            return StepReport(
                status="released",
                reason="agent_stopped",
                message="The agent was stopped.",
                duration_ms=duration_ms,
                commands=self._commands,
            )
        final = ABORTED if self._order.is_aborted() else verdict
        return StepReport(
            status="finished",
            result=final.result,
            reason=final.reason,
            message=masked(final.message, self._secrets) if final.message else None,
            duration_ms=duration_ms,
            commands=self._commands,
        )

    def _hand_in(self, report: StepReport) -> None:
        """From here on the work is done, and kept: a stopping or dying agent delivers it next time."""
        self._folder.keep_report(report)
        if report.status == "finished":
            self._artifacts.finish()
        # Only now, because an artifact that is refused is told in the console.
        self._console.close()
        self._side_logs.finish()
        if self._console.problem is not None:
            report = _with_incomplete_log(report, self._console.problem)
            self._folder.keep_report(report)
        is_settled = self._courier.finish(report)
        if self._order.is_aborted():
            # The server knows already; this only tells it how far the step came.
            with suppress(AgentError):
                self._tools.link.client.report(self.offer.id, report)
            is_settled = True
        if is_settled:
            self._tools.spool.drop(self._folder)

    def _on_end(self, why: Exception) -> None:
        if isinstance(why, Refused):
            self._tools.on_refused(why)
        elif isinstance(why, StepGone):
            log.info("Step %s is not wanted any more.", self.offer.id)
            self.stop("aborted")

    def _break_checkout(self, thread_id: int) -> None:
        """The checkout knows nothing of orders; the tool it waits for is killed under it."""
        while self._is_checking_out:
            kill_children_of_thread(thread_id)
            time.sleep(CHECKOUT_BREAK_S)


def _with_incomplete_log(report: StepReport, problem: OSError) -> StepReport:
    if report.status != "finished":
        return report
    return replace_fields(
        report, result="infra_failed", reason="log_incomplete", message=f"The log is incomplete: {problem}"
    )
