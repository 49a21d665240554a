// An identity provider with the library that ProConnect runs, set up like ProConnect. A process of
// its own, so that a journey can kill it, start it with other keys, or with another clock.

import { createHash, generateKeyPairSync } from "node:crypto";
import { createServer } from "node:http";

const { PORT, PORTAL, CLIENT_ID, CLIENT_SECRET, CLOCK_OFFSET = "0", SCOPES } = process.env;
const issuer = `http://127.0.0.1:${PORT}`;

// Before the library reads the clock.
const now = Date.now;
Date.now = () => now() + Number(CLOCK_OFFSET) * 1000;

const { Provider } = await import("oidc-provider");

const key = (kind, options) => generateKeyPairSync(kind, options).privateKey.export({ format: "jwk" });
const es256 = key("ec", { namedCurve: "P-256" });
const kid = createHash("sha256").update(es256.x).digest("hex").slice(0, 12);

const claims = { given_name: ["given_name"], usual_name: ["usual_name"], email: ["email"], uid: ["uid"], siret: ["siret"] };

const { interactionPolicy } = await import("oidc-provider");
const policy = interactionPolicy.base();
// ProConnect leaves the essential second factor to its own pages; here it is the person's choice.
for (const check of ["essential_acr", "essential_acrs"]) policy.get("login").checks.remove(check);

const provider = new Provider(issuer, {
  clients: [
    {
      client_id: CLIENT_ID,
      client_secret: CLIENT_SECRET,
      redirect_uris: [`${PORTAL}/connexion/fournisseur/retour`],
      post_logout_redirect_uris: [`${PORTAL}/deconnexion/fournisseur`],
      token_endpoint_auth_method: "client_secret_post",
      id_token_signed_response_alg: "ES256",
      userinfo_signed_response_alg: "ES256",
      grant_types: ["authorization_code"],
      response_types: ["code"],
    },
  ],
  jwks: { keys: [{ ...es256, kid, alg: "ES256", use: "sig" }] },
  pkce: { required: () => true, methods: ["S256"] },
  acrValues: ["eidas1", "eidas1-mfa", "eidas2", "eidas3"],
  scopes: ["openid", ...Object.keys(claims)],
  claims: { openid: ["sub"], acr: null, amr: null, auth_time: null, iss: null, sid: null, ...claims },
  features: {
    devInteractions: { enabled: false },
    claimsParameter: { enabled: true },
    jwtUserinfo: { enabled: true },
    rpInitiatedLogout: { enabled: true, logoutSource: askToSignOut },
  },
  interactions: { policy, url: (_, interaction) => `/interaction/${interaction.uid}` },
  cookies: { keys: ["des essais"] },
  findAccount: (_, id) => ({
    accountId: id,
    claims: () => ({ sub: createHash("sha256").update(id).digest("hex"), email: id, given_name: "Camille", usual_name: "Essai", uid: id, siret: "21690123100011" }),
  }),
  // ProConnect asks for no consent.
  async loadExistingGrant(context) {
    const { client, session, provider } = context.oidc;
    const grant = new provider.Grant({ clientId: client.clientId, accountId: session.accountId });
    grant.addOIDCScope(SCOPES);
    grant.addOIDCClaims([...Object.keys(claims), "acr", "auth_time"]);
    await grant.save();
    return grant;
  },
});

const page = (title, main) =>
  `<!DOCTYPE html><html lang="fr"><title>${title}</title><link rel="icon" href="data:,"><main><h1>${title}</h1>${main}</main></html>`;

function askToSignOut(context, form) {
  const button = `<button form="op.logoutForm" name="logout" value="yes">Oui</button>`;
  context.body = page("Se déconnecter du fournisseur ?", form + button);
}

let diesAtToken = false;
const answer = provider.callback();

createServer(async (request, response) => {
  const { pathname } = new URL(request.url, issuer);
  const isPost = request.method === "POST";
  if (pathname === "/die-at-token") {
    diesAtToken = true;
    return response.end();
  }
  if (diesAtToken && pathname === "/token") process.kill(process.pid, "SIGKILL");
  if (!pathname.startsWith("/interaction/")) return answer(request, response);
  if (!isPost) {
    response.setHeader("content-type", "text/html; charset=utf-8");
    const choice = (acr, words) => `<button name="acr" value="${acr}">${words}</button>`;
    const form = `<form method="post"><label>Adresse <input name="email"></label>${choice("eidas2", "Avec double authentification")}${choice("eidas1", "Sans double authentification")}</form>`;
    return response.end(page("Fournisseur d’identité", form));
  }
  let body = "";
  for await (const part of request) body += part;
  const sent = new URLSearchParams(body);
  const login = { accountId: sent.get("email"), acr: sent.get("acr"), ts: Math.floor(Date.now() / 1000) };
  await provider.interactionFinished(request, response, { login }, { mergeWithLastSubmission: false });
}).listen(Number(PORT), "127.0.0.1", () => console.log("ready"));
