ALTER TABLE data_bundle ADD COLUMN documents integer, ADD COLUMN documents_read integer;
