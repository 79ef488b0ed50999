"""The team of the demo, and the machines it builds on."""

from dataclasses import dataclass, field
from datetime import timedelta

DOMAIN = "orbit.example"


@dataclass(frozen=True)
class Person:
    name: str
    # How much of all work is theirs.
    share: float = 1.0
    # None cannot sign in; patterns are the projects they may administer.
    signs_in: bool = True
    is_admin: bool = False
    administers: tuple[str, ...] = ()

    @property
    def email(self) -> str:
        return self.name.split(" ", 1)[0].lower() + f"@{DOMAIN}"


PEOPLE = (
    Person("Amara Okafor", 1.6, is_admin=True),
    Person("Bruno Castellanos", 1.4, administers=("billing*", "ledger*")),
    Person("Chidi Eze", 1.2),
    Person("Dagny Solberg", 1.5, administers=("web*", "design*")),
    Person("Emre Yildiz", 1.1),
    Person("Fatima Haddad", 1.3, administers=("*",)),
    Person("Giulia Ferrante", 0.9),
    Person("Hiroshi Tanabe", 1.0, administers=("android*", "ios*")),
    Person("Ines Carvalho", 0.8),
    Person("Jonas Lindqvist", 1.2),
    Person("Kavya Raman", 1.4, administers=("infra*",)),
    Person("Liam Gallagher-Byrne", 0.6),
    Person("Mei-Ling Chou", 0.9),
    Person("Nikolai Petrov", 0.4, signs_in=False),
    Person("Renovation Bot", 0.7, signs_in=False),
)


@dataclass(frozen=True)
class Machine:
    label: str
    cluster: str
    slots: int = 4
    labels: dict[str, str] = field(default_factory=dict)
    # None is alive; nobody heard of the others for this long.
    silent_for: timedelta | None = None
    is_revoked: bool = False
    was_seen: bool = True

    @property
    def is_alive(self) -> bool:
        return self.silent_for is None and self.was_seen

    @property
    def cpus(self) -> int:
        return 2 * self.slots

    @property
    def memory_mb(self) -> int:
        return 8192 * self.slots


MACHINES = (
    Machine("forge-1", "linux", 8, {"arch": "x86_64", "os": "debian-13"}),
    Machine("forge-2", "linux", 8, {"arch": "x86_64", "os": "debian-13"}),
    Machine("forge-3", "linux", 4, {"arch": "aarch64", "os": "debian-13"}),
    Machine("gpu-tower", "gpu", 1, {"arch": "x86_64", "gpu": "rtx-4090"}),
    Machine("pixel-shelf", "android", 2, {"devices": "pixel-8,pixel-6a"}),
    Machine("mac-mini-1", "macos", 2, {"arch": "arm64", "xcode": "16.2"}, timedelta(days=2, hours=3)),
    Machine(
        "forge-0", "linux", 2, {"arch": "x86_64", "os": "debian-11"}, timedelta(days=12), is_revoked=True
    ),
    Machine("forge-4", "linux", 8, {"arch": "aarch64", "os": "debian-13"}, was_seen=False),
)
