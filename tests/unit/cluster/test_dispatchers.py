"""Dispatchers follow what is declared: the same stay, others are succeeded before they drain."""

from __future__ import annotations

import subprocess
import sys
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest
import ray
from ray.exceptions import RayError

from pagemill.cluster import dispatchers
from pagemill.cluster.assignment import (
    NO_KEYS,
    Assignment,
    DispatcherName,
    declaration_of,
    keys_of_role,
)
from pagemill.cluster.dispatcher import is_superseded
from pagemill.cluster.dispatchers import replace_dispatchers
from pagemill.settings import Settings
from pagemill.work.kinds import KINDS, KINDS_OF_ROLE
from pagemill.work.roles import Role, dispatched_roles, roles_run_by

SETTINGS = Settings(
    database_url="postgresql://unused",
    objects_url="file:///unused",
    secret_keys="1:key",
    smtp_password="mail-password",
    dispatchers=2,
)
FIRST = [
    "dispatcher-housekeeping-1-0",
    "dispatcher-interactive-1-0",
    "dispatcher-interactive-1-1",
    "dispatcher-long-1-0",
    "dispatcher-workflows-1-0",
]


def changed(**values: Any) -> Settings:
    return msgspec.structs.replace(SETTINGS, **values)


class Actor:
    """A dispatcher of the tests' Ray."""

    def __init__(self, cluster: Cluster, assignment: Assignment) -> None:
        self.cluster, self.assignment = cluster, assignment
        self.draining: list[float | None] = []

    def __getattr__(self, name: str) -> Any:
        if name not in ("status", "fulfils", "drain"):
            raise AttributeError(name)
        return SimpleNamespace(remote=lambda *given: (self, name, given))

    def answer(self, name: str, given: tuple[Any, ...]) -> Any:
        if self.assignment.name.role in self.cluster.broken:
            raise RayError("planted")
        if name == "fulfils":
            return self.assignment.declaration == given[0] and not self.draining
        if name == "drain":
            self.draining.append(given[0])
            self.cluster.told.append(("drains", str(self.assignment.name)))
            return None
        return {"listening": True}


class Cluster:
    """As much of Ray as starts, finds and ends dispatchers."""

    def __init__(self) -> None:
        self.actors: dict[str, Any] = {}
        self.broken: set[Role] = set()
        self.told: list[tuple[str, str]] = []
        self.util = SimpleNamespace(list_named_actors=self._list)

    def _list(self, *, all_namespaces: bool) -> list[dict[str, str]]:
        assert all_namespaces
        elsewhere = {"name": "dispatcher-long-9-0", "namespace": "elsewhere"}
        return [*({"name": name, "namespace": SETTINGS.ray_namespace} for name in self.actors), elsewhere]

    def get_actor(self, name: str, *, namespace: str) -> Any:
        assert namespace == SETTINGS.ray_namespace
        return self.actors[name]

    def remote(self, _actor: type) -> Any:
        def create(assignment: Assignment) -> Actor:
            actor = self.actors[str(assignment.name)] = Actor(self, assignment)
            self.told.append(("starts", str(assignment.name)))
            return actor

        return SimpleNamespace(options=lambda **_: SimpleNamespace(remote=create))

    def get(self, calls: Any, *, timeout: float) -> Any:
        assert timeout > 0
        if isinstance(calls, list):
            return [actor.answer(name, given) for actor, name, given in calls]
        actor, name, given = calls
        return actor.answer(name, given)

    def kill(self, actor: Any, *, no_restart: bool) -> None:
        assert no_restart
        self.actors = {name: one for name, one in self.actors.items() if one is not actor}

    def claiming(self) -> list[str]:
        return sorted(name for name, actor in self.actors.items() if not actor.draining)


@pytest.fixture
def cluster(monkeypatch: pytest.MonkeyPatch) -> Cluster:
    """A cluster with the dispatchers of a first release."""
    made = Cluster()
    monkeypatch.setattr(dispatchers, "ray", made)
    replace_dispatchers(SETTINGS, "one")
    assert made.claiming() == FIRST
    made.told.clear()
    return made


def test_the_same_release_changes_nothing(cluster: Cluster) -> None:
    replace_dispatchers(SETTINGS, "one")
    assert (cluster.told, cluster.claiming()) == ([], FIRST)


def test_successors_start_before_the_old_ones_drain(cluster: Cluster) -> None:
    replace_dispatchers(SETTINGS, "two")
    assert cluster.claiming() == [name.replace("-1-", "-2-") for name in FIRST]
    done = [what for what, _ in cluster.told]
    assert done == ["starts"] * 5 + ["drains"] * 5
    drained = {name: cluster.actors[name].draining for name in FIRST}
    assert drained["dispatcher-long-1-0"] == drained["dispatcher-workflows-1-0"] == [None]
    assert drained["dispatcher-housekeeping-1-0"] == [60.0]
    assert drained["dispatcher-interactive-1-1"] == [660.0]


def test_those_that_still_drain_are_no_reason_to_start_others(cluster: Cluster) -> None:
    replace_dispatchers(SETTINGS, "two")
    cluster.told.clear()
    replace_dispatchers(SETTINGS, "two")
    assert [what for what, _ in cluster.told] == ["drains"] * 5
    replace_dispatchers(SETTINGS, "one")
    assert cluster.claiming() == [name.replace("-1-", "-3-") for name in FIRST]


def test_fewer_are_declared(cluster: Cluster) -> None:
    replace_dispatchers(changed(dispatchers=1), "one")
    assert [name for name in cluster.claiming() if "interactive" in name] == ["dispatcher-interactive-2-0"]


def test_slots_are_divided_among_those_that_are_started(cluster: Cluster) -> None:
    shares = [
        actor.assignment.share for name, actor in sorted(cluster.actors.items()) if "interactive" in name
    ]
    assert [(share.number, share.dispatchers) for share in shares] == [(0, 2), (1, 2)]


def test_one_that_is_gone_is_replaced(cluster: Cluster) -> None:
    del cluster.actors["dispatcher-interactive-1-1"]
    replace_dispatchers(SETTINGS, "one")
    assert cluster.claiming() == [
        "dispatcher-housekeeping-1-0",
        "dispatcher-interactive-2-0",
        "dispatcher-interactive-2-1",
        "dispatcher-long-1-0",
        "dispatcher-workflows-1-0",
    ]


def test_where_a_successor_does_not_start_the_old_ones_go_on(cluster: Cluster) -> None:
    cluster.broken.add(Role.INTERACTIVE)
    with pytest.raises(RayError, match="planted"):
        replace_dispatchers(SETTINGS, "two")
    assert cluster.claiming() == [
        "dispatcher-housekeeping-2-0",
        "dispatcher-interactive-1-0",
        "dispatcher-interactive-1-1",
        "dispatcher-long-2-0",
        "dispatcher-workflows-2-0",
    ]


def test_one_that_cannot_drain_is_ended(cluster: Cluster) -> None:
    cluster.actors["dispatcher"] = object()
    replace_dispatchers(SETTINGS, "one")
    assert sorted(cluster.actors) == FIRST


def test_housekeeping_takes_over_workflows_where_they_have_no_dispatcher(cluster: Cluster) -> None:
    shared = changed(workflows_dispatcher=False)
    replace_dispatchers(shared, "one")
    # The digest of the settings has changed for all of them.
    assert cluster.claiming() == [name.replace("-1-", "-2-") for name in FIRST[:-1]]
    assert cluster.actors["dispatcher-workflows-1-0"].draining == [None]
    # Steps that run take their time there, too.
    assert cluster.actors["dispatcher-housekeeping-1-0"].draining == [None]
    cluster.told.clear()
    replace_dispatchers(SETTINGS, "one")
    assert cluster.claiming() == [
        *(name.replace("-1-", "-3-") for name in FIRST[:-1]),
        "dispatcher-workflows-2-0",
    ]


def test_each_job_is_run_by_one_dispatcher() -> None:
    for settings in (SETTINGS, changed(workflows_dispatcher=False)):
        run = [role for own in dispatched_roles(settings) for role in roles_run_by(own, settings)]
        assert sorted(run) == sorted(Role)
    assert roles_run_by(Role.WORKFLOWS, changed(workflows_dispatcher=False)) == (Role.WORKFLOWS,)


def test_keys_are_for_those_who_need_them() -> None:
    assert keys_of_role(Role.INTERACTIVE, SETTINGS) == keys_of_role(Role.LONG, SETTINGS) == NO_KEYS
    keys = keys_of_role(Role.HOUSEKEEPING, SETTINGS)
    assert (keys.secret_keys, keys.smtp_password) == ("1:key", "mail-password")
    keys = keys_of_role(Role.WORKFLOWS, SETTINGS)
    assert (keys.secret_keys, keys.smtp_password) == ("1:key", None)


@pytest.mark.parametrize("role", list(Role))
def test_a_declaration_changes_with_what_the_role_is_given(role: Role) -> None:
    declared = declaration_of(role, SETTINGS, "one")
    assert declaration_of(role, SETTINGS, "two") != declared
    assert declaration_of(role, changed(job_lease=30.0), "one") != declared
    assert declaration_of(role, changed(token_key="another"), "one") == declared
    rotated = declaration_of(role, changed(secret_keys="2:key"), "one")
    assert (rotated != declared) == (role in (Role.HOUSEKEEPING, Role.WORKFLOWS))
    mail = declaration_of(role, changed(smtp_password="another"), "one")
    assert (mail != declared) == (role is Role.HOUSEKEEPING)


@pytest.mark.parametrize(
    "name", ["dispatcher", "dispatcher-long-1", "usage-counter-1-0", "dispatcher-idle-1-1"]
)
def test_names_of_others_are_not_a_dispatchers(name: str) -> None:
    assert DispatcherName.parse(name) is None


def test_a_name_is_read_back() -> None:
    name = DispatcherName(Role.LONG, 12, 3)
    assert DispatcherName.parse(str(name)) == name


@pytest.mark.parametrize(
    ("running", "superseded"),
    [
        (["dispatcher-long-1-0", "dispatcher-long-2-0", "usage-counter-0"], True),
        (["dispatcher-long-1-0", "dispatcher-long-1-1", "dispatcher-interactive-2-0"], False),
        ([], False),
    ],
)
def test_one_that_is_started_again_sees_its_successors(
    monkeypatch: pytest.MonkeyPatch, running: list[str], superseded: bool
) -> None:
    monkeypatch.setattr(ray.util, "list_named_actors", lambda: running)
    assert is_superseded(DispatcherName(Role.LONG, 1, 0)) == superseded


def test_each_kind_has_one_role() -> None:
    of_roles = [name for role in Role for name in KINDS_OF_ROLE[role].names]
    assert of_roles == KINDS.names
    assert {"mail", "webhook", "retention", "object-sweep"} <= set(KINDS_OF_ROLE[Role.HOUSEKEEPING].names)
    assert set(KINDS_OF_ROLE[Role.INTERACTIVE].names) == {"prediction", "transformation"}


def test_a_dispatcher_imports_ray_serve_only_for_a_role_that_needs_it() -> None:
    program = (
        "import sys, pagemill.cluster.dispatcher; print(sorted({'ray.serve', 'numpy'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
