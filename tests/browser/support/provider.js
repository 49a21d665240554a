// The identity provider of the journeys, and the portal whose people sign in with it.

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

import { freePort, startPortal } from "./portal.js";

const program = fileURLToPath(new URL("provider-process.js", import.meta.url));

export class Provider {
  constructor(port, portalUrl) {
    Object.assign(this, { port, portalUrl, url: `http://127.0.0.1:${port}` });
  }

  /** Starts it, with new keys, and with a clock that is so many seconds off. */
  async start(clockOffset = 0) {
    const environment = {
      ...process.env,
      PORT: String(this.port),
      PORTAL: this.portalUrl,
      CLIENT_ID: client.id,
      CLIENT_SECRET: client.secret,
      CLOCK_OFFSET: String(clockOffset),
      SCOPES: "openid given_name usual_name email uid siret",
    };
    this.child = spawn(process.execPath, [program], { env: environment, stdio: ["ignore", "pipe", "pipe"] });
    this.exited = once(this.child, "exit");
    let errors = "";
    this.child.stderr.on("data", (text) => (errors += text));
    const first = await Promise.race([once(this.child.stdout, "data"), this.exited]);
    assert.match(String(first[0]), /ready/, `the provider did not start:\n${errors}`);
  }

  async stop() {
    this.child.kill("SIGKILL");
    await this.exited;
  }

  /** Has it die when it is asked for tokens. */
  async dieAtToken() {
    await fetch(`${this.url}/die-at-token`);
  }
}

/** What the portal is called at a provider, and its secret there. */
export const client = { id: "raccord", secret: "un secret des essais, qui ne vaut rien ailleurs" };

/** A portal at this port whose people sign in with the provider at this URL. */
export async function startPortalFor(issuer, port, settings = {}) {
  const directory = await mkdtemp(join(tmpdir(), "raccord-provider-"));
  const secret = join(directory, "secret");
  await writeFile(secret, `${client.secret}\n`, { mode: 0o600 });
  const portal = await startPortal({
    RACCORD_LISTEN: `127.0.0.1:${port}`,
    RACCORD_OIDC_ISSUER: issuer,
    RACCORD_OIDC_CLIENT_ID: client.id,
    RACCORD_OIDC_CLIENT_SECRET_FILE: secret,
    ...settings,
  });
  // It was read at the start.
  await rm(directory, { recursive: true });
  return portal;
}

/** A portal whose people sign in with a provider, which runs. */
export async function startPortalWithProvider() {
  const [portalPort, providerPort] = [await freePort(), await freePort()];
  const provider = new Provider(providerPort, `http://127.0.0.1:${portalPort}`);
  await provider.start();
  return { portal: await startPortalFor(provider.url, portalPort), provider };
}

export const toProvider = "S’identifier avec ProConnect";

/** Authenticates on the provider's page. */
export async function authenticate(visitor, address, way = "Avec double authentification") {
  await visitor.seesTitle("Fournisseur d’identité");
  await visitor.page.getByLabel("Adresse").fill(address);
  await visitor.press(way);
}
