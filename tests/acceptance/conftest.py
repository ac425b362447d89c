"""One running stack, one client and one trained model for all acceptance tests."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import las
import pytest
import requests

from examples.demo import job
from examples.demo.sample_documents import SampleDocument, sample_documents
from examples.local_stack import LocalStack, local_stack
from tests.support.clients import RecordingClient, check_answer, plain_client
from tests.support.collector import Collector, collecting
from tests.support.command_line import CommandLine
from tests.support.directories import temporary_directory
from tests.support.mail_server import MailServer, serving_mail
from tests.support.newcomers import FrontDoor, make_app
from tests.support.workflow_document import write_functions

STACK_SETTINGS = {
    "PAGEMILL_TRAINING_BUDGET": "20",
    # An engine that is away: steps of docker transitions wait for it, and tests report their results.
    "PAGEMILL_CONTAINER_ENGINE_URL": "tcp://127.0.0.1:1",
}
TRAINING_DOCUMENTS = 24
ACCEPTANCE_SECONDS = 900


@dataclass(frozen=True, slots=True)
class Trained:
    """What the main job leaves behind."""

    model_id: str
    dataset_id: str
    data_bundle: dict[str, Any]
    training: dict[str, Any]
    documents: list[tuple[SampleDocument, str]]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.acceptance)
            item.add_marker(pytest.mark.timeout(ACCEPTANCE_SECONDS))


@pytest.fixture(scope="package")
def follows_the_contract() -> Iterator[None]:
    """Whatever is answered to a client in this process follows the reference, or the call fails."""
    send = requests.Session.send

    def checked(
        session: requests.Session, request: requests.PreparedRequest, **options: Any
    ) -> requests.Response:
        response = send(session, request, **options)
        check_answer(request.method or "", request.url or "", response.status_code, response.content)
        return response

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(requests.Session, "send", checked)
        yield


@pytest.fixture(scope="package")
def collector() -> Iterator[Collector]:
    """Collector of the stack's traces."""
    with collecting() as running:
        yield running


@pytest.fixture(scope="package")
def mail() -> Iterator[MailServer]:
    """The mail server of the stack."""
    with serving_mail() as server:
        yield server


@pytest.fixture(scope="package")
def stack(collector: Collector, mail: MailServer) -> Iterator[LocalStack]:
    """A stack of these tests' own, with the environment of the official clients set; all is traced."""
    settings = {
        **STACK_SETTINGS,
        "PAGEMILL_TRACES_URL": collector.url,
        "PAGEMILL_SMTP_HOST": "127.0.0.1",
        "PAGEMILL_SMTP_PORT": str(mail.port),
        "PAGEMILL_SMTP_SECURITY": "none",
        "PAGEMILL_MAIL_SENDER": "mill@example.com",
    }
    with (
        temporary_directory("pagemill-") as directory,
        temporary_directory("functions-") as functions,
        local_stack(
            directory / "data", settings={**settings, "PAGEMILL_FUNCTIONS_FILE": write_functions(functions)}
        ) as running,
        pytest.MonkeyPatch.context() as environment,
    ):
        for name, value in running.environment.items():
            environment.setenv(name, value)
        yield running


@pytest.fixture(scope="package")
def client(stack: LocalStack, follows_the_contract: None) -> las.Client:
    """The official client, as it finds its way by itself."""
    return RecordingClient()


@pytest.fixture(scope="package")
def command_line(
    stack: LocalStack, follows_the_contract: None, tmp_path_factory: pytest.TempPathFactory
) -> CommandLine:
    """The official command line client."""
    return CommandLine(tmp_path_factory.mktemp("files"))


@pytest.fixture
def cli(command_line: CommandLine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> CommandLine:
    """The same, with a home of its own: it keeps a cache there."""
    monkeypatch.setenv("HOME", str(tmp_path))
    command_line.directory = tmp_path
    return command_line


@pytest.fixture(scope="package")
def http(stack: LocalStack, client: las.Client) -> Iterator[httpx.Client]:
    """Plain HTTPS with a valid token, for what the official client would refuse to send."""
    with plain_client(stack, client.credentials.access_token) as session:
        yield session


@pytest.fixture(scope="package")
def front_door(stack: LocalStack, http: httpx.Client, mail: MailServer) -> FrontDoor:
    """Where people come in who are invited to the organization."""
    return FrontDoor(stack, http, make_app(http), mail)


@pytest.fixture(scope="package")
def trained(client: las.Client) -> Trained:
    """A model that is trained on labelled PDF files and active."""
    return train_model(client)


def train_model(client: las.Client) -> Trained:
    """Train a model on labelled PDF files and make it active."""
    model_id = job.create_model(client)
    dataset_id = client.create_dataset(name="Labelled")["datasetId"]
    samples = sample_documents(TRAINING_DOCUMENTS, seed=11, scans_every=0)
    documents = list(job.upload(client, samples, dataset_id=dataset_id))
    bundle = client.create_data_bundle(model_id, [dataset_id])
    bundle = job.wait_for(lambda: client.get_data_bundle(model_id, bundle["dataBundleId"]))
    training = client.create_training(model_id, [bundle["dataBundleId"]])
    training = job.wait_for(lambda: client.get_training(model_id, training["trainingId"]))
    client.update_model(model_id, trainingId=training["trainingId"])
    return Trained(model_id, dataset_id, bundle, training, documents)
