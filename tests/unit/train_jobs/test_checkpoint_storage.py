"""Where Ray Train keeps its checkpoints."""

from __future__ import annotations

from pagemill.settings import Settings
from train_jobs.fitting import checkpoint_storage

PREFIX = "organizations/o/trainings/t/"


def test_checkpoints_in_a_directory() -> None:
    settings = Settings(database_url="postgresql://x", objects_url="file:///data/my%20objects")
    assert checkpoint_storage(settings, PREFIX) == {
        "storage_path": "/data/my objects/organizations/o/trainings/t"
    }


def test_checkpoints_in_a_bucket_never_name_the_keys() -> None:
    settings = Settings(
        database_url="postgresql://x",
        objects_url="s3://bucket/deep/prefix",
        s3_endpoint_url="http://127.0.0.1:9000",
        s3_access_key_id="access",
        s3_secret_access_key="hidden",
    )
    storage = checkpoint_storage(settings, PREFIX)
    assert storage["storage_path"] == "bucket/deep/prefix/organizations/o/trainings/t"
    assert storage["storage_filesystem"].type_name == "s3"
    assert "hidden" not in str(storage)
