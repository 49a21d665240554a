-- Each issue of a token would lock and check its account a second time. A token whose account is gone opens nothing, since every
-- judgement joins the account, and is swept when it expires.
ALTER TABLE access_tokens DROP CONSTRAINT access_tokens_technical_user_id_fkey;
