-- Other organizations see a shared dataset and learn from its documents, and nothing else.
ALTER TABLE dataset ADD COLUMN shared boolean NOT NULL DEFAULT false;

CREATE INDEX dataset_shared ON dataset (organization_id, created_time, id) WHERE shared;

-- Other organizations whose shared datasets are in a bundle.
ALTER TABLE data_bundle ADD COLUMN owner_ids jsonb NOT NULL DEFAULT '[]';

CREATE INDEX data_bundle_of_others ON data_bundle USING gin (owner_ids) WHERE owner_ids <> '[]';
