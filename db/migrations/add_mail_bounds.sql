-- How much mail an organization may send a day, and how often to an address of nobody in it: the settings of the
-- dispatcher that sends mail.
ALTER TABLE mail_service
    ADD COLUMN daily_quota integer NOT NULL DEFAULT 500,
    ADD COLUMN stranger_interval double precision NOT NULL DEFAULT 3600.0;

-- The mail of a day. What was refused at once is not among it.
CREATE INDEX job_mail ON job (organization_id, created_time)
    WHERE kind = 'mail' AND error_class IS DISTINCT FROM 'MailLimit';
CREATE INDEX job_mail_refused ON job (created_time) WHERE kind = 'mail' AND error_class = 'MailLimit';
