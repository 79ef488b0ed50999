"""What somebody asks for besides the source: some of the plans, and values of their parameters. Pure."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from difflib import get_close_matches
from typing import Any

from changes.base.errors import Invalid
from changes.builds import triggers_rules
from changes.builds.planned import PlannedJob
from changes.builds.triggers_rules import Kind, Occasion
from changes.projects import parameters


class Unfulfillable(Invalid):
    """No plan is called so, or none has such a parameter, or not with such a value."""


@dataclass(frozen=True)
class Wishes:
    """`plans` are a part that was asked for; without them and without `fitting` it is all plans."""

    plans: tuple[str, ...] = ()
    parameters: Mapping[str, str] = field(default_factory=dict)
    # Of a new commit: the plans that are for it, and those that none of its files concerns.
    fitting: tuple[str, ...] = ()
    untouched: tuple[str, ...] = ()
    # Somebody asked, who gets the plans that are for people.
    is_by_hand: bool = False

    def kept(self) -> dict[str, Any]:
        """As the build keeps it."""
        lists = {"plans": self.plans, "fitting": self.fitting, "untouched": self.untouched}
        return {
            **{name: list(names) for name, names in lists.items() if names},
            **({"parameters": dict(self.parameters)} if self.parameters else {}),
            **({"by_hand": True} if self.is_by_hand else {}),
        }


NONE = Wishes()


def thawed(kept: Mapping[str, Any]) -> Wishes:
    return Wishes(
        tuple(kept.get("plans", ())),
        kept.get("parameters", {}),
        tuple(kept.get("fitting", ())),
        tuple(kept.get("untouched", ())),
        is_by_hand=bool(kept.get("by_hand")),
    )


def fulfilled(jobs: Sequence[PlannedJob], wishes: Wishes) -> list[PlannedJob]:
    """Those that were asked for and what they need, with the values that were given for their parameters."""
    refuse_unknown(jobs, wishes)
    wanted = wanted_of(jobs, wishes)
    return [with_values(each, wishes.parameters) for each in jobs if each.plan.label in wanted]


def wanted_of(jobs: Sequence[PlannedJob], wishes: Wishes) -> Collection[str]:
    needs = {each.plan.label: each.terms.needs for each in jobs}
    if names := wishes.plans or wishes.fitting:
        return triggers_rules.with_needs(names, needs)
    said = {each.plan.label: each.terms.wishes for each in jobs}
    if wishes.is_by_hand and any(each.events for each in said.values()):
        decided = triggers_rules.decide_plans(said, needs, Occasion(Kind.MANUAL))
        return {name for name, verdict in decided.items() if verdict.is_wanted}
    return set(needs)


def refuse_unknown(jobs: Sequence[PlannedJob], wishes: Wishes) -> None:
    labels = [each.plan.label for each in jobs]
    for name in wishes.plans:
        if name not in labels:
            raise Unfulfillable(f"There is no plan {name[:80]!r} here{meant(name, labels)}", ["plans"])
    declared = sorted({each.name for job in jobs for each in job.terms.parameters})
    for name in wishes.parameters:
        if name not in declared:
            raise Unfulfillable(
                f"No plan has a parameter {name[:80]!r}{meant(name, declared)}", ["parameters"]
            )


def meant(name: str, known: Sequence[str]) -> str:
    near = get_close_matches(name, known, n=1)
    hint = f", did you mean {near[0]!r}?" if near else "."
    return f"{hint} There are: {', '.join(known) or 'none'}."


def with_values(job: PlannedJob, given: Mapping[str, str]) -> PlannedJob:
    if not job.terms.parameters:
        return job
    try:
        values = parameters.values_of(job.terms.parameters, given)
    except Invalid as error:
        raise Unfulfillable(error.message, error.problems) from None
    return replace(job, steps=[{**step, "data": with_env(step["data"], values)} for step in job.steps])


def with_env(data: Any, values: Mapping[str, str]) -> Any:
    """Data of another form is complained about where it is read."""
    if not isinstance(data, dict) or not isinstance(data.get("env", {}), dict):
        return data
    return {**data, "env": {**data.get("env", {}), **values}}
