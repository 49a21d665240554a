-- Who knows an account's password: the person to whom it was shown, who is the one that had it made, since an envelope opens in
-- her session alone. A password is known to somebody else as soon as she is no longer principal manager of the structure, and
-- until a reset. Derived, so that nothing needs to be kept in step with successions.
CREATE VIEW passwords_known_to_others AS
    SELECT t.id AS technical_user_id FROM technical_users t JOIN structures s ON s.id = t.structure_id
     WHERE t.password_shown_at IS NOT NULL AND t.password_set_by IS DISTINCT FROM s.principal_manager_id;
