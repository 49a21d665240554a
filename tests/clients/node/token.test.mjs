// simple-oauth2, as it is. Run by test_tokens.py.

import assert from "node:assert/strict";
import { test } from "node:test";

import { ClientCredentials } from "simple-oauth2";

const { ISSUER, LOGIN, PASSWORD } = process.env;

for (const authorizationMethod of ["header", "body"]) {
  for (const tokenHost of [ISSUER, `${ISSUER}/`]) {
    test(`simple-oauth2 obtains a token, by ${authorizationMethod}, from ${tokenHost}`, async () => {
      const client = new ClientCredentials({
        client: { id: LOGIN, secret: PASSWORD },
        auth: { tokenHost, tokenPath: "/api/oauth/token" },
        options: { authorizationMethod },
      });
      const { token } = await client.getToken({ scope: "openid" });
      assert.equal(token.token_type, "Bearer");
      assert.equal(token.expires_in, 900);
    });
  }
}

test("simple-oauth2 is told that a password is wrong", async () => {
  const auth = { tokenHost: ISSUER, tokenPath: "/api/oauth/token" };
  const client = new ClientCredentials({ client: { id: LOGIN, secret: "faux" }, auth });
  await assert.rejects(client.getToken({}), (error) => error.data.payload.error === "invalid_client");
});
