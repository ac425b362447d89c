-- The open invitations of an address are looked for at each sign-in, in all organizations.
CREATE INDEX organization_user_invited ON organization_user (email) WHERE status = 'invite_pending';

-- Codes that have been over for a day are deleted when others are added.
CREATE INDEX one_time_code_over ON one_time_code (coalesce(used_time, expires_time));
