-- Who calls the API, judged anew at each call (rules 4, 5, 9 and 10): every statement of the API starts from this
-- function, so that the call which reads is also the one that checks. A caller shows a token's hash, or an account and the
-- version of the credential that was verified, or both; where both are shown they must agree. The planner inlines it.
CREATE FUNCTION api_caller(shown_token bytea, shown_account bigint, shown_version integer)
RETURNS TABLE (technical_user_id bigint, manager_id bigint, at timestamptz, sunset timestamptz)
LANGUAGE sql STABLE AS
$$ SELECT t.id, a.manager_id, portal_now(),
          CASE WHEN t.expires_at <= portal_now() + interval '31 days' THEN t.expires_at END
     FROM technical_users t JOIN technical_user_authority a ON a.technical_user_id = t.id
    WHERE t.id = coalesce(shown_account, (SELECT k.technical_user_id FROM access_tokens k WHERE k.token_hash = shown_token))
      AND t.status = 'ACTIVE' AND t.expires_at > portal_now() AND a.active
      AND (shown_version IS NULL OR shown_version = t.credential_version)
      AND (shown_token IS NULL OR EXISTS (
           SELECT FROM access_tokens k WHERE k.token_hash = shown_token AND k.technical_user_id = t.id
              AND k.credential_version = t.credential_version AND k.expires_at > portal_now())) $$;
