-- When a second factor was last proved at the provider with this identity. From then on, its person does not come in without one.
ALTER TABLE provider_identities ADD COLUMN second_factor_proved_at timestamptz;
