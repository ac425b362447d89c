"""The declaration of the applications: what restarts replicas, what does not, and what it never holds."""

from __future__ import annotations

import msgspec
import pytest
from ray.serve._private.deploy_utils import get_app_code_version
from ray.serve._private.utils import override_runtime_envs_except_env_vars
from ray.serve.schema import ServeApplicationSchema

from pagemill.cluster.serve_configuration import APPLICATIONS, RELEASE, serve_configuration
from pagemill.settings import SECRET, Settings

SETTINGS = Settings(
    database_url="postgresql://user:hidden@host/db",
    objects_url="file:///unused",
    token_key="hidden",
    secret_keys="hidden",
    stripe_secret_key="hidden",
    s3_secret_access_key="hidden",
    smtp_password="hidden",
)
ELSEWHERE = {
    "prediction_files_directory": "each node",
    "prediction_wait": "the API waits",
    "prediction_queue_wait_max": "the API refuses",
    "prediction_concurrency": "a dispatcher",
    "reading_replicas_min": "scaling, which changes in place",
    "reading_replicas_max": "scaling, which changes in place",
    "prediction_replicas_min": "scaling, which changes in place",
    "prediction_replicas_max": "scaling, which changes in place",
}
"""Settings with the names of an application, and who obeys them in its place."""


def versions(settings: Settings, release: str = "1") -> dict[str, str]:
    """Serve's versions of the applications: another one replaces the replicas."""
    return {
        one.name: get_app_code_version(one) for one in serve_configuration(settings, release).applications
    }


def changed(name: str) -> Settings:
    value = getattr(SETTINGS, name)
    return msgspec.structs.replace(
        SETTINGS, **{name: value + 1 if isinstance(value, int | float) else "none"}
    )


def test_the_same_release_and_settings_are_the_same_version() -> None:
    assert versions(SETTINGS) == versions(SETTINGS)


def test_another_release_replaces_all() -> None:
    before, after = versions(SETTINGS), versions(SETTINGS, "2")
    assert all(before[name] != after[name] for name in before)


@pytest.mark.parametrize("name", [name for one in APPLICATIONS for name in one.settings])
def test_a_setting_of_replicas_replaces_those_of_its_application_alone(name: str) -> None:
    before, after = versions(SETTINGS), versions(changed(name))
    owner = next(one.name for one in APPLICATIONS if name in one.settings)
    assert {one for one in before if before[one] != after[one]} == {owner}


@pytest.mark.parametrize("name", ["reading_replicas_max", "prediction_replicas_min", "mail_domain"])
def test_other_settings_replace_none(name: str) -> None:
    assert versions(SETTINGS) == versions(changed(name))


def test_each_setting_with_the_name_of_an_application_is_given_to_it() -> None:
    given = {name for one in APPLICATIONS for name in one.settings}
    named = {
        field.name
        for field in msgspec.structs.fields(Settings)
        if any(one.name in field.name for one in APPLICATIONS)
    }
    assert named - given == ELSEWHERE.keys()


def test_no_secret_is_declared() -> None:
    assert "hidden" not in serve_configuration(SETTINGS, "1").model_dump_json(exclude_unset=True)
    assert all(getattr(SETTINGS, name) for name in SECRET)


def test_there_is_no_http_proxy() -> None:
    configuration = serve_configuration(SETTINGS, "1")
    assert configuration.proxy_location == "Disabled"
    assert [one.route_prefix for one in configuration.applications] == [None, None]


def test_a_failed_attempt_makes_another_version_of_its_application_alone() -> None:
    again = serve_configuration(SETTINGS, "1", attempts={"reading": 1})
    versions_again = {one.name: get_app_code_version(one) for one in again.applications}
    before = versions(SETTINGS)
    assert {name for name in before if before[name] != versions_again[name]} == {"reading"}


def test_without_a_surge_the_version_stays() -> None:
    narrow = serve_configuration(SETTINGS, "1", surge=False).applications
    assert {one.name: get_app_code_version(one) for one in narrow} == versions(SETTINGS)
    assert all(one.deployments[0].max_surge_percent == 0 for one in narrow)


def test_replicas_see_their_release() -> None:
    def environment(application: ServeApplicationSchema) -> dict[str, str]:
        merged = override_runtime_envs_except_env_vars(application.runtime_env, {})
        return dict(merged["env_vars"])

    for application in serve_configuration(SETTINGS, "1").applications:
        assert environment(application)[RELEASE] == "1"
