-- Who knows an account's password: the person to whom it was shown, who is the one that had it made, since an envelope opens in
-- her session alone. A password is known to somebody else as soon as she is no longer principal manager of the structure, and
-- until a reset. Derived, so that nothing needs to be kept in step with successions.
CREATE FUNCTION is_known_to_another(t technical_users, principal_manager_id bigint) RETURNS boolean LANGUAGE sql IMMUTABLE AS
$$ SELECT t.password_shown_at IS NOT NULL AND t.password_set_by IS DISTINCT FROM principal_manager_id $$;
