"""Settings come from the environment alone, and say which variable is wrong."""

from __future__ import annotations

import msgspec
import pytest

from pagemill.settings import SECRET, Settings, SettingsError, load_settings, to_environment

REQUIRED = {"PAGEMILL_DATABASE_URL": "postgresql://localhost/x", "PAGEMILL_OBJECTS_URL": "file:///x"}


def test_values_are_converted_to_the_type_of_their_field() -> None:
    settings = load_settings(
        REQUIRED
        | {"PAGEMILL_TOKEN_LIFETIME": "60", "PAGEMILL_TRAINING_GPU": "true", "PAGEMILL_JOB_LEASE": "7.5"}
    )
    assert (settings.token_lifetime, settings.training_gpu, settings.job_lease) == (60, True, 7.5)


def test_other_variables_and_empty_ones_are_ignored() -> None:
    settings = load_settings(
        REQUIRED | {"HOME": "/", "PAGEMILL_DATA": "/documents", "PAGEMILL_LOG_LEVEL": ""}
    )
    assert settings.log_level == "INFO"


@pytest.mark.parametrize(
    ("environment", "named"),
    [
        ({"PAGEMILL_OBJECTS_URL": "file:///x"}, "database_url"),
        (REQUIRED | {"PAGEMILL_TOKEN_LIFETIME": "soon"}, "token_lifetime"),
    ],
)
def test_what_is_missing_or_wrong_is_named(environment: dict[str, str], named: str) -> None:
    with pytest.raises(SettingsError, match=named):
        load_settings(environment)


@pytest.mark.parametrize(
    ("environment", "named"),
    [
        ({"PAGEMILL_SMTP_HOST": "mail"}, "mail_sender"),
        ({"PAGEMILL_MAIL_SENDER": "a@b\r\nBcc: c@d"}, "mail_sender"),
        ({"PAGEMILL_MAIL_SENDER": "a@b\n"}, "mail_sender"),
        ({"PAGEMILL_SMTP_SECURITY": "some"}, "smtp_security"),
        ({"PAGEMILL_SMTP_PORT": "0"}, "smtp_port"),
        ({"PAGEMILL_MAIL_INTAKE_CERTIFICATE": "/a.pem"}, "mail_intake_key"),
        ({"PAGEMILL_MAIL_INTAKE_SIZE": "65"}, "mail_intake_size"),
    ],
)
def test_mail_is_set_up_wholly_or_not_at_all(environment: dict[str, str], named: str) -> None:
    with pytest.raises(SettingsError, match=named):
        load_settings(REQUIRED | environment)


@pytest.mark.parametrize("scripts", ["auto", "none", "Cyrillic", "Greek,Arabic,Hebrew"])
def test_scripts_are_named(scripts: str) -> None:
    assert load_settings(REQUIRED | {"PAGEMILL_READING_SCRIPTS": scripts}).reading_scripts == scripts


@pytest.mark.parametrize(
    "scripts", ["Latin", "cyrillic", "Cyrillic,", "Cyrillic;Greek", "auto,Greek", "Greek\n"]
)
def test_unknown_scripts_are_refused(scripts: str) -> None:
    with pytest.raises(SettingsError, match="reading_scripts"):
        load_settings(REQUIRED | {"PAGEMILL_READING_SCRIPTS": scripts})


def test_a_child_process_reads_the_same_settings() -> None:
    settings = Settings(
        database_url="postgresql://u:p@h/d", objects_url="s3://b/p", training_gpu=True, job_lease=3.25
    )
    assert load_settings(to_environment(settings)) == settings


def test_secrets_are_not_shown() -> None:
    values = {name: f"hidden-{name}" for name in SECRET} | {"objects_url": "file:///shown"}
    text = repr(Settings(**values))
    assert "hidden" not in text
    assert "file:///shown" in text


def test_what_sounds_secret_is() -> None:
    names = {field.name for field in msgspec.structs.fields(Settings)}
    telling = {name for name in names if name.endswith(("_key", "_keys", "_password", "_secret"))}
    # Browsers are given the one; the other names a file.
    assert telling - set(SECRET) == {"stripe_publishable_key", "mail_intake_key"}
