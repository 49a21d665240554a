-- When an account was taken back last: its idleness counts from then on, too. An instance of the version before does not write it.
ALTER TABLE technical_users ADD COLUMN reactivated_at timestamptz;
