"""What the operator gives replaces what is embedded; workers learn no more than they need."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path

import pytest

from pagemill.secret_box import open_secret_box
from pagemill.settings import SettingsError, load_settings, to_environment
from pagemill.stack import stack_configuration
from pagemill.stack.directory import DataDirectory
from pagemill.stack.processes import child_environment
from pagemill.stack.stack_configuration import (
    METRICS_PORT,
    StackConfiguration,
    deploy_settings,
    free_metrics_port,
    mail_intake_settings,
    metrics_url,
    worker_settings,
)

EMBEDDED_URL = "postgresql://u:p@127.0.0.1:1/pagemill"


def configuration(
    tmp_path: Path, environ: Mapping[str, str] | None = None, cores: int = 2
) -> StackConfiguration:
    directory = DataDirectory(tmp_path)
    directory.prepare()
    return StackConfiguration(directory, environ or {}, 9443, cores=cores)


def test_everything_is_embedded_unless_given(tmp_path: Path) -> None:
    embedded = configuration(tmp_path)
    settings = embedded.settings(EMBEDDED_URL, "127.0.0.1:6379")
    assert embedded.embeds_postgres
    assert embedded.embeds_ray
    assert settings.database_url == EMBEDDED_URL
    assert settings.objects_url == (tmp_path / "objects").as_uri()
    assert settings.public_url == "https://localhost:9443"
    assert settings.ray_address == "127.0.0.1:6379"
    assert settings.token_key == embedded.directory.token_key()
    assert settings.secret_keys == embedded.directory.secret_keys()
    assert open_secret_box(settings).key_id == "1"


def test_what_is_given_wins(tmp_path: Path) -> None:
    given = {
        "PAGEMILL_DATABASE_URL": "postgresql://elsewhere/db",
        "PAGEMILL_OBJECTS_URL": "s3://bucket/prefix",
        "PAGEMILL_S3_ENDPOINT_URL": "http://s3",
        "PAGEMILL_RAY_ADDRESS": "ray:6379",
        "PAGEMILL_READING_CPUS": "3",
        "PAGEMILL_TRAINING_BUDGET": "",
    }
    replaced = configuration(tmp_path, given)
    settings = replaced.settings("postgresql://elsewhere/db", None)
    assert not replaced.embeds_postgres
    assert not replaced.embeds_ray
    assert (settings.objects_url, settings.s3_endpoint_url) == ("s3://bucket/prefix", "http://s3")
    assert (settings.ray_address, settings.reading_cpus) == ("ray:6379", 3.0)


def test_metrics_have_the_port_that_was_chosen_unless_one_is_given(tmp_path: Path) -> None:
    chosen = dataclasses.replace(configuration(tmp_path), metrics_port=9464)
    settings = chosen.settings(EMBEDDED_URL, None)
    assert metrics_url(settings) == "http://127.0.0.1:9464/metrics"
    assert settings.metrics_directory == str(tmp_path / "metrics")
    given = {"PAGEMILL_METRICS_PORT": "9000", "PAGEMILL_METRICS_HOST": "::"}
    settings = dataclasses.replace(configuration(tmp_path, given), metrics_port=9464).settings(
        EMBEDDED_URL, None
    )
    assert metrics_url(settings) == "http://[::]:9000/metrics"
    off = dataclasses.replace(configuration(tmp_path, {"PAGEMILL_METRICS_PORT": "0"}), metrics_port=9464)
    assert metrics_url(off.settings(EMBEDDED_URL, None)) is None


def test_another_port_is_chosen_where_the_usual_one_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stack_configuration, "port_answers", lambda _: False)
    assert free_metrics_port() == METRICS_PORT
    monkeypatch.setattr(stack_configuration, "port_answers", lambda _: True)
    assert free_metrics_port() != METRICS_PORT


def test_a_wrong_setting_is_named(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="training_budget"):
        configuration(tmp_path, {"PAGEMILL_TRAINING_BUDGET": "long"}).settings(EMBEDDED_URL, None)


def test_two_readers_a_predictor_and_a_training_fit_into_two_cores(tmp_path: Path) -> None:
    small = configuration(tmp_path, cores=1)
    settings = small.settings(EMBEDDED_URL, None)
    needed = 2 * settings.reading_cpus + settings.prediction_cpus + settings.training_cpus
    assert settings.reading_replicas_max == 2
    assert needed <= small.ray_cpus == 2


def test_a_larger_machine_reads_more_pages_at_once(tmp_path: Path) -> None:
    large = configuration(tmp_path, cores=16)
    assert large.ray_cpus == 16
    assert large.settings(EMBEDDED_URL, None).reading_replicas_max == 14


def test_mail_is_taken_where_the_operator_says_a_port(tmp_path: Path) -> None:
    silent = configuration(tmp_path, {"PAGEMILL_MAIL_INTAKE_PORT": "0"})
    assert not silent.takes_mail
    assert silent.settings(EMBEDDED_URL, None).mail_intake_certificate == ""

    taking = configuration(tmp_path, {"PAGEMILL_MAIL_INTAKE_PORT": "2525"})
    settings = taking.settings(EMBEDDED_URL, None)
    assert taking.takes_mail
    assert (settings.mail_intake_port, settings.mail_intake_host) == (2525, "127.0.0.1")
    assert settings.mail_intake_certificate.endswith("server.pem")

    own = {"PAGEMILL_MAIL_INTAKE_CERTIFICATE": "/own.pem", "PAGEMILL_MAIL_INTAKE_KEY": "/own.key"}
    chosen = configuration(tmp_path, {"PAGEMILL_MAIL_INTAKE_PORT": "2525", **own})
    assert chosen.settings(EMBEDDED_URL, None).mail_intake_certificate == "/own.pem"


def test_mail_intake_opens_secrets_and_signs_nothing(tmp_path: Path) -> None:
    environ = {"PAGEMILL_STRIPE_SECRET_KEY": "sk_test", "PAGEMILL_SMTP_PASSWORD": "mail-password"}
    settings = configuration(tmp_path, environ).settings(EMBEDDED_URL, None)
    taking = mail_intake_settings(settings)
    assert (taking.token_key, taking.stripe_secret_key, taking.smtp_password) == ("", None, None)
    assert taking.secret_keys == settings.secret_keys


def test_workers_never_see_the_keys_of_the_api(tmp_path: Path) -> None:
    environ = {
        "PAGEMILL_TOKEN_KEY": "k" * 40,
        "PAGEMILL_STRIPE_SECRET_KEY": "sk_test",
        "PAGEMILL_SMTP_PASSWORD": "mail-password",
        "PATH": "/bin",
        "PAGEMILL_STACK": "of another stack",
    }
    settings = configuration(tmp_path, environ).settings(EMBEDDED_URL, None)
    assert settings.token_key == "k" * 40
    assert settings.secret_keys
    seen = child_environment(environ, to_environment(worker_settings(settings)), "marker", EXTRA="1")
    assert not {"k" * 40, "sk_test", "mail-password"} & set(seen.values())
    assert settings.secret_keys not in seen.values()
    assert (seen["PATH"], seen["PAGEMILL_STACK"], seen["EXTRA"]) == ("/bin", "marker", "1")
    assert load_settings(seen) == worker_settings(settings)


def test_who_deploys_knows_what_the_dispatcher_is_handed_and_not_the_keys_of_the_api(tmp_path: Path) -> None:
    environ = {"PAGEMILL_STRIPE_SECRET_KEY": "sk_test", "PAGEMILL_SMTP_PASSWORD": "mail-password"}
    settings = configuration(tmp_path, environ).settings(EMBEDDED_URL, None)
    deploying = deploy_settings(settings)
    assert (deploying.token_key, deploying.stripe_secret_key) == ("", None)
    assert (deploying.secret_keys, deploying.smtp_password) == (settings.secret_keys, "mail-password")
