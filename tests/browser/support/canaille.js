// Canaille, an identity provider that other people wrote. Set up by its own commands alone, and
// without LDAP: its people are in an SQLite file.

import { execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync } from "node:fs";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { promisify } from "node:util";

import { target } from "./portal.js";
import { client } from "./provider.js";

const run = promisify(execFile);
const program = join(target, "canaille/bin/canaille");

/** Whether `bin/test` could install it. */
export const isInstalled = existsSync(program);

const settings = (port, directory) => `
SECRET_KEY = "des essais, qui ne vaut rien ailleurs"
SERVER_NAME = "127.0.0.1:${port}"
PREFERRED_URL_SCHEME = "http"
[CANAILLE]
DATABASE = "sql"
LANGUAGE = "fr"
[CANAILLE_SQL]
DATABASE_URI = "sqlite:///${join(directory, "canaille.sqlite")}"
[CANAILLE_OIDC]
# No client passes without the person's consent.
TRUSTED_DOMAINS = []
[CANAILLE_HYPERCORN]
BIND = "127.0.0.1:${port}"
`;

const options = (values) => Object.entries(values).flatMap(([name, value]) => [`--${name}`, value]);

export class Canaille {
  constructor(port) {
    Object.assign(this, { port, url: `http://127.0.0.1:${port}` });
  }

  /** Starts it, with this portal and these people in it. */
  async start(portalUrl, people) {
    this.directory = await mkdtemp(join(tmpdir(), "raccord-canaille-"));
    const file = join(this.directory, "canaille.toml");
    await writeFile(file, settings(this.port, this.directory), { mode: 0o600 });
    this.environment = { PATH: process.env.PATH, HOME: this.directory, CANAILLE_CONFIG: file };
    await this.#command("install");
    for (const [number, { login, password }] of people.entries()) {
      const person = { "user-name": `essai-${number}`, password, emails: login, "given-name": "Camille", "family-name": "Essai" };
      await this.#command("create", "user", ...options(person));
    }
    const portal = {
      "client-id": client.id,
      "client-secret": client.secret,
      "client-name": "Raccord",
      "redirect-uris": `${portalUrl}/connexion/fournisseur/retour`,
      "post-logout-redirect-uris": `${portalUrl}/deconnexion/fournisseur`,
      "token-endpoint-auth-method": "client_secret_post",
      "grant-types": "authorization_code",
      "response-types": "code",
      "id-token-signed-response-alg": "RS256",
    };
    await this.#command("create", "client", ...options(portal), "--scope", "openid", "--scope", "email");
    // Its tokens are for the audience of the client, which is empty at first.
    await this.#command("set", "client", client.id, "--audience", client.id);
    this.child = spawn(program, ["run"], { env: this.environment, cwd: this.directory, stdio: ["ignore", "pipe", "pipe"] });
    this.exited = once(this.child, "exit");
    let log = "";
    for (const stream of [this.child.stdout, this.child.stderr]) stream.on("data", (text) => (log += text));
    for (let tries = 0; tries < 300 && this.child.exitCode === null; tries++) {
      const answer = await fetch(`${this.url}/.well-known/openid-configuration`).catch(() => null);
      if (answer?.ok) return;
      await sleep(100);
    }
    this.child.kill("SIGKILL");
    throw new Error(`Canaille did not start:\n${log}`);
  }

  async #command(...words) {
    await run(program, words, { env: this.environment, cwd: this.directory });
  }

  async stop() {
    this.child.kill("SIGTERM");
    await this.exited;
    await rm(this.directory, { recursive: true });
  }
}

// Its pages, as people use them.

/** Says who the person is, and proves it. */
export async function authenticate(visitor, person) {
  await visitor.page.getByLabel("Identifiant").fill(person.login);
  await visitor.press("Continuer");
  await proveAgain(visitor, person);
}

/** Proves who the person is, whom it knows by its session. */
export async function proveAgain(visitor, { password }) {
  await visitor.page.getByRole("textbox", { name: "Mot de passe" }).fill(password);
  await visitor.press("Se connecter");
}

/** Lets it name the person to the portal. */
export async function consent(visitor) {
  await visitor.sees("L'application Raccord");
  await visitor.press("Accepter");
}
