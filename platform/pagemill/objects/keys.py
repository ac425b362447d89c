"""Keys in object storage. Every key begins with its organization."""

from __future__ import annotations

import uuid

from pagemill.ids import AssetId, DataBundleId, DocumentId, OrganizationId, TrainingId, slug_of


def organization_prefix(organization_id: OrganizationId) -> str:
    """Return the prefix of everything of one organization."""
    return f"organizations/{slug_of(organization_id)}/"


def document_prefix(organization_id: OrganizationId, document_id: DocumentId) -> str:
    """Return the prefix of everything of one document: its content, its words and its thumbnails."""
    return f"{organization_prefix(organization_id)}documents/{slug_of(document_id)}/"


def new_content_key(organization_id: OrganizationId, document_id: DocumentId) -> str:
    """Return a key that was never used: an upload writes beside the content that it replaces."""
    return f"{document_prefix(organization_id, document_id)}content/{uuid.uuid4().hex}"


def asset_prefix(organization_id: OrganizationId, asset_id: AssetId) -> str:
    """Return the prefix of the contents of an asset, the present one and the ones being replaced."""
    return f"{organization_prefix(organization_id)}assets/{slug_of(asset_id)}/"


def new_asset_key(organization_id: OrganizationId, asset_id: AssetId) -> str:
    """Return a key that was never used: a change writes beside the content that it replaces."""
    return f"{asset_prefix(organization_id, asset_id)}{uuid.uuid4().hex}"


def words_prefix(content_key: str, reader_version: str, options_name: str) -> str:
    """Return the prefix of the words of a content, by the reader's version and options."""
    return f"{content_key.replace('/content/', '/words/')}-{reader_version}-{options_name}/"


def new_predictions_key(content_key: str) -> str:
    """Return a key that was never used for predictions on their way to the caller."""
    return f"{content_key.replace('/content/', '/predictions/')}-{uuid.uuid4().hex}.json"


def thumbnails_prefix(content_key: str) -> str:
    """Return the prefix of the thumbnails of a content."""
    return f"{content_key.replace('/content/', '/thumbnails/')}/"


def data_bundle_prefix(organization_id: OrganizationId, data_bundle_id: DataBundleId) -> str:
    """Return the prefix of the data sets of a data bundle, the present one and the ones being replaced."""
    return f"{organization_prefix(organization_id)}data-bundles/{slug_of(data_bundle_id)}/"


def new_data_bundle_key(organization_id: OrganizationId, data_bundle_id: DataBundleId) -> str:
    """Return a prefix that was never used: each attempt writes its data set beside those of the others."""
    return f"{data_bundle_prefix(organization_id, data_bundle_id)}{uuid.uuid4().hex}/"


def data_bundle_snapshot_key(organization_id: OrganizationId, data_bundle_id: DataBundleId) -> str:
    """Return the key of the one object that a former release kept of a data bundle."""
    return f"{data_bundle_prefix(organization_id, data_bundle_id).removesuffix('/')}.json"


def data_bundle_names(organization_id: OrganizationId, data_bundle_id: DataBundleId) -> tuple[str, str]:
    """Return the prefix and the key of everything of a data bundle."""
    return (
        data_bundle_prefix(organization_id, data_bundle_id),
        data_bundle_snapshot_key(organization_id, data_bundle_id),
    )


def training_prefix(organization_id: OrganizationId, training_id: TrainingId) -> str:
    """Return the prefix of the checkpoints and the artefact of a training."""
    return f"{organization_prefix(organization_id)}trainings/{slug_of(training_id)}/"
