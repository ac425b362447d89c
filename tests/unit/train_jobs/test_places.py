"""Where a training keeps things, and where Ray Train is told to keep its checkpoints."""

from __future__ import annotations

from pagemill.settings import Settings
from train_jobs.places import TrainingPlaces
from train_jobs.training_run import storage

PREFIX = "organizations/o/trainings/t/"


def test_everything_of_a_training_lies_below_its_prefix() -> None:
    places = TrainingPlaces.of("las:organization:o", "las:model-training:t")
    assert places.prefix == PREFIX
    keys = [places.examples, places.checkpoints, places.weights, places.configuration, places.evaluation]
    assert all(key.startswith(PREFIX) for key in keys)
    assert places.weights == f"{places.artefact}weights.safetensors"
    assert places.configuration == f"{places.artefact}configuration.json"


def test_checkpoints_in_a_directory() -> None:
    settings = Settings(database_url="postgresql://x", objects_url="file:///data/my%20objects")
    assert storage(settings, PREFIX) == {"storage_path": "/data/my objects/organizations/o/trainings/t"}


def test_checkpoints_in_a_bucket_never_name_the_keys() -> None:
    settings = Settings(
        database_url="postgresql://x",
        objects_url="s3://bucket/deep/prefix",
        s3_endpoint_url="http://127.0.0.1:9000",
        s3_access_key_id="access",
        s3_secret_access_key="hidden",
    )
    place = storage(settings, PREFIX)
    assert place["storage_path"] == "bucket/deep/prefix/organizations/o/trainings/t"
    assert place["storage_filesystem"].type_name == "s3"
    assert "hidden" not in str(place)
