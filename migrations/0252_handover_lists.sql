-- What a manager's lists say of links: those that wait to be opened, and those that were presented in vain.
CREATE INDEX handovers_waiting ON handovers (made_by) WHERE opened_at IS NULL AND ended_at IS NULL;
CREATE INDEX handovers_refused ON handovers (id) WHERE last_refusal <> 'EXPIRED';
