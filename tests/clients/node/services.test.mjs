// oauth4webapi and openid-client, as a client and as an API of the operator. Run by test_services.py.

import assert from "node:assert/strict";
import { test } from "node:test";

import * as oauth from "oauth4webapi";
import * as openid from "openid-client";

const { ISSUER, LOGIN, PASSWORD } = process.env;
const service = (kind) => ({
  audience: process.env[`${kind}_AUDIENCE`],
  client: { client_id: process.env[`${kind}_SERVICE`] },
  secret: process.env[`${kind}_SECRET`],
});
const [opaque, signed] = [service("OPAQUE"), service("SIGNED")];
// The portal under test speaks plain http, on loopback.
const insecure = { [oauth.allowInsecureRequests]: true };

async function server() {
  const issuer = new URL(ISSUER);
  const answer = await oauth.discoveryRequest(issuer, { algorithm: "oauth2", ...insecure });
  return oauth.processDiscoveryResponse(issuer, answer);
}

async function token(as, parameters) {
  const client = { client_id: LOGIN };
  const answer = await oauth.clientCredentialsGrantRequest(as, client, oauth.ClientSecretBasic(PASSWORD), parameters, insecure);
  return oauth.processClientCredentialsResponse(as, client, answer);
}

async function introspect(as, { client, secret }, token) {
  const answer = await oauth.introspectionRequest(as, client, oauth.ClientSecretPost(secret), token, insecure);
  return oauth.processIntrospectionResponse(as, client, answer);
}

test("oauth4webapi finds, obtains, asks and revokes", async () => {
  const as = await server();
  const { access_token, expires_in } = await token(as, { resource: opaque.audience });
  assert.equal(expires_in, 900);
  const told = await introspect(as, opaque, access_token);
  assert.deepEqual([told.active, told.aud, told.username], [true, opaque.audience, LOGIN]);
  assert.deepEqual(await introspect(as, signed, access_token), { active: false }, "another audience");
  const client = { client_id: LOGIN };
  const answer = await oauth.revocationRequest(as, client, oauth.ClientSecretBasic(PASSWORD), access_token, insecure);
  await oauth.processRevocationResponse(answer);
  assert.deepEqual(await introspect(as, opaque, access_token), { active: false });
});

test("oauth4webapi verifies signed tokens by itself", async () => {
  const as = await server();
  const { access_token } = await token(as, { resource: signed.audience });
  const request = () => new Request(signed.audience, { headers: { authorization: `Bearer ${access_token}` } });
  const claims = await oauth.validateJwtAccessToken(as, request(), signed.audience, insecure);
  assert.deepEqual([claims.sub, claims.client_id, claims.scope], [LOGIN, LOGIN, "openid"]);
  await assert.rejects(oauth.validateJwtAccessToken(as, request(), opaque.audience, insecure));
  await assert.rejects(oauth.validateJwtAccessToken(as, request(), signed.audience, { ...insecure, [oauth.clockSkew]: 331 }));
});

test("oauth4webapi reads refusals", async () => {
  const as = await server();
  await assert.rejects(token(as, { resource: "https://api.example/inconnue" }), { error: "invalid_target", status: 400 });
  // A 401 is read as its challenge.
  await assert.rejects(introspect(as, { ...opaque, secret: "faux" }, "x"), oauth.WWWAuthenticateChallengeError);
});

test("openid-client asks and revokes", async () => {
  const as = (kind, id, secret) =>
    openid.discovery(new URL(ISSUER), id, undefined, kind(secret), { algorithm: "oauth2", execute: [openid.allowInsecureRequests] });
  const account = await as(openid.ClientSecretBasic, LOGIN, PASSWORD);
  const api = await as(openid.ClientSecretBasic, opaque.client.client_id, opaque.secret);
  const { access_token } = await openid.clientCredentialsGrant(account, {});
  const told = await openid.tokenIntrospection(api, access_token, { structure: "SIRET:00000000000000" });
  assert.deepEqual([told.active, told.structure_authorized], [true, false]);
  await openid.tokenRevocation(account, access_token);
  assert.deepEqual(await openid.tokenIntrospection(api, access_token), { active: false });
});
