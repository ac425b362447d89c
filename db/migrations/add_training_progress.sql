ALTER TABLE training ADD COLUMN progress jsonb, ADD COLUMN curve jsonb, ADD COLUMN error text;
