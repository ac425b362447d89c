-- The open invitations of an address are looked for at each sign-in, in all organizations.
CREATE INDEX organization_user_invited ON organization_user (email) WHERE status = 'invite_pending';
