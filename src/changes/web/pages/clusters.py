"""Machines that say they belong together: how many, how free, and what waits for them."""

from collections.abc import Iterable
from dataclasses import dataclass
from uuid import UUID

from fastapi import APIRouter, Request, Response

from changes.base.errors import NotFound
from changes.base.process import settings
from changes.builds import infra_failures, queue_look, queue_queries
from changes.builds.infra_failures import Wanted
from changes.builds.queue_look import Look
from changes.builds.queue_queries import Cluster
from changes.builds.waiting_rules import Machine
from changes.web import call
from changes.web.pages import drawing, queue_words

pages = APIRouter()
LANES_SHOWN = 25
LOSSES_SHOWN = 10


@dataclass(frozen=True)
class Fleet:
    """What machines can do together now. `machines` are those that are heard of and may work."""

    machines: int = 0
    silent: int = 0
    out: int = 0
    slots: int = 0
    held: int = 0

    @property
    def free(self) -> int:
        return max(0, self.slots - self.held)


@dataclass(frozen=True)
class ClusterShown:
    """`name` "" is of the machines that belong to none, and of the steps that ask for none."""

    id: str
    name: str
    fleet: Fleet
    waiting: int


def fleet(seen: Look) -> Fleet:
    return fleet_of(machine for machine, _ in seen.machines)


def fleet_of(machines: Iterable[Machine]) -> Fleet:
    every = list(machines)
    able = [each for each in every if each.is_live and not each.out]
    return Fleet(
        machines=len(able),
        silent=sum(not each.is_live for each in every),
        out=sum(bool(each.is_live and each.out) for each in every),
        slots=sum(each.slots for each in able),
        held=sum(each.held for each in able),
    )


def summary(seen: Look) -> list[ClusterShown]:
    """By name; a machine of several clusters counts in each. The nameless one stands last."""
    names = {name for machine, _ in seen.machines for name in machine.offer.clusters}
    names |= {line.needs.cluster for line in seen.lanes if line.needs.cluster}
    shown = [shown_as(seen, name) for name in sorted(names)]
    return [*shown, shown_as(seen, "")] if any(has_nobody(seen)) else shown


def has_nobody(seen: Look) -> Iterable[bool]:
    yield any(not machine.offer.clusters for machine, _ in seen.machines)
    yield any(not line.needs.cluster for line in seen.lanes)


def shown_as(seen: Look, name: str) -> ClusterShown:
    mine = (machine for machine, _ in seen.machines if belongs(machine, name))
    return ClusterShown(
        id=Cluster(name, []).id.hex,
        name=name,
        fleet=fleet_of(mine),
        waiting=sum(line.seen.waiting for line in seen.lanes if (line.needs.cluster or "") == name),
    )


def belongs(machine: Machine, name: str) -> bool:
    return name in machine.offer.clusters if name else not machine.offer.clusters


@pages.get("/clusters/")
def list_clusters(request: Request) -> Response:
    with call.reading(request) as this:
        seen = queue_look.look(this.session, silence_s=settings.get().node_silence_max_s)
        return drawing.page(request, "clusters.html", {"clusters": summary(seen), "fleet": fleet(seen)})


@pages.get("/clusters/{cluster_id:uuid}/")
def show_cluster(request: Request, cluster_id: UUID) -> Response:
    with call.reading(request) as this:
        seen = queue_look.look(this.session, silence_s=settings.get().node_silence_max_s)
        shown = next((each for each in summary(seen) if each.id == cluster_id.hex and each.name), None)
        if shown is None:
            raise NotFound("No machine belongs to this cluster, and no step asks for it.")
        wanted = Wanted(hours=queue_queries.LOST_WITHIN_H, cluster=shown.name)
        waits = [line for line in seen.lanes if line.needs.cluster == shown.name]
        values = {
            "cluster": shown,
            "machines": [each for each in seen.machines if belongs(each[0], shown.name)],
            "lanes": [queue_words.explained(seen, line) for line in waits[:LANES_SHOWN]],
            "more_lanes": max(0, len(waits) - LANES_SHOWN),
            "oldest": min((line.since for line in waits), default=None),
            "losses": infra_failures.groups(this.session, wanted)[:LOSSES_SHOWN],
        }
        return drawing.page(request, "cluster.html", values)
