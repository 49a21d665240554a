// The portal under test: the real binary, on a free local port and with an empty data directory.

import assert from "node:assert/strict";
import { execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { chmod, mkdtemp, readFile, readdir, realpath, rm } from "node:fs/promises";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";

export const root = fileURLToPath(new URL("../../..", import.meta.url));
const run = promisify(execFile);
/** Where builds are, and what bin/test installs for the tests. */
export const target = process.env.CARGO_TARGET_DIR ?? join(root, "target");
const binary = process.env.RACCORD_BINARY ?? join(target, "debug/raccord");

/**
 * Starts a portal with its demonstration, and with these settings. `stop` it, or its database
 * outlives the test.
 */
export async function startPortal(settings = {}) {
  const directory = await mkdtemp(join(tmpdir(), "raccord-journey-"));
  // Where root runs the tests, the database runs as another user, which must reach its files here.
  await chmod(directory, 0o711);
  const url = `http://${settings.RACCORD_LISTEN ?? `127.0.0.1:${await freePort()}`}`;
  const environment = {
    PATH: process.env.PATH,
    HOME: process.env.HOME,
    RACCORD_DATA_DIR: directory,
    RACCORD_LISTEN: url.replace("http://", ""),
    RACCORD_PG_BIN: process.env.RACCORD_PG_BIN ?? "",
    ...settings,
  };
  const child = spawn(binary, ["serve", "--demo"], { env: environment, stdio: ["ignore", "pipe", "pipe"] });
  const portal = new Portal(child, url, directory);
  await portal.ready();
  return portal;
}

class Portal {
  #log = "";
  #secrets = new Set();
  #failsOnPurpose = false;

  constructor(child, url, directory) {
    Object.assign(this, { child, url, directory });
    this.exited = once(child, "exit");
    for (const stream of [child.stdout, child.stderr]) stream.on("data", (text) => (this.#log += text));
  }

  async ready() {
    for (let tries = 0; tries < 600; tries++) {
      if (this.child.exitCode !== null) break;
      const answer = await fetch(`${this.url}/readyz`).catch(() => null);
      if (answer?.ok) {
        const { accounts } = JSON.parse(await readFile(join(this.directory, "demo-credentials.json"), "utf8"));
        [this.manager, this.managerOfOne, this.secondaryManager, this.member] = accounts;
        return;
      }
      await sleep(100);
    }
    this.child.kill("SIGKILL");
    assert.fail(`the portal did not start:\n${this.#log}`);
  }

  /** A password that the log must never hold. */
  remember(secret) {
    this.#secrets.add(secret);
  }

  /** Stops the portal as an operator does, and checks its log, its mails and its database. */
  async stop() {
    this.child.kill("SIGTERM");
    const [code, signal] = await this.exited;
    assert.deepEqual({ code, signal }, { code: 0, signal: null }, this.#log);
    for (const secret of this.#secrets) assert(!this.#log.includes(secret), "a password stands in the log");
    const mails = await this.mails();
    for (const secret of this.#secrets) assert(!mails.includes(secret), "a password stands in a mail");
    const errors = this.#log.split("\n").filter((line) => /\bERROR\b|panicked/.test(line));
    if (!this.#failsOnPurpose) assert.deepEqual(errors, [], "the portal logged errors");
    const left = await readdir(join(this.directory, "postgres/cluster/pgdata"));
    assert(!left.includes("postmaster.pid"), "the database outlived the portal");
    await rm(this.directory, { recursive: true });
  }

  /** From here on the log may hold errors, which are caused on purpose. */
  expectErrors() {
    this.#failsOnPurpose = true;
  }

  /**
   * Runs statements in the portal's database, for data that would take years of clicks. Values are
   * literals of the caller. Returns psql's unaligned text.
   */
  async sql(statements, database = "raccord", role = "raccord") {
    const socket = await realpath(join(this.directory, "postgres/cluster"));
    const flags = ["--no-psqlrc", "--quiet", "--tuples-only", "--no-align", "--set=ON_ERROR_STOP=1"];
    const password = await readFile(join(this.directory, "postgres/owner-password"), "utf8");
    const command = [...flags, "--host", socket, "--username", role, "--command", statements, database];
    const { stdout } = await run("psql", command, { env: { ...process.env, PGPASSWORD: password } });
    return stdout.trim();
  }

  /** The mails written so far, in one text. */
  async mails() {
    const names = await readdir(this.directory, { recursive: true });
    const letters = names.filter((name) => name.endsWith(".eml"));
    return (await Promise.all(letters.map((name) => readFile(join(this.directory, name), "utf8")))).join("\n");
  }

  // The API, as a program uses it.

  async healthCheck(login, password) {
    return fetch(`${this.url}/cpro/transverses/v1/health-check`, { headers: cproAccount(login, password) });
  }

  async token(login, password) {
    const body = new URLSearchParams({ grant_type: "client_credentials", client_id: login, client_secret: password });
    return fetch(`${this.url}/api/oauth/token`, { method: "POST", body });
  }

  /** Every structure that the account may act on, page after page. */
  async memberships(login, password, perPage = 100) {
    const found = [];
    for (let page = 1, pages = 1; page <= pages; page++) {
      const answer = await fetch(`${this.url}/cpro/utilisateurs/v1/monCompte/recuperer/rattachements`, {
        method: "POST",
        headers: { "content-type": "application/json", ...cproAccount(login, password) },
        body: JSON.stringify({ parametresRecherche: { nbResultatsParPage: perPage, pageResultatDemandee: page } }),
      });
      assert.equal(answer.status, 200, await answer.clone().text());
      const { codeRetour, listeStructureRattachement, parametresRetour } = await answer.json();
      assert.equal(codeRetour, 0);
      found.push(...listeStructureRattachement);
      pages = parametresRetour.pages;
    }
    return found;
  }
}

function cproAccount(login, password) {
  return { "cpro-account": Buffer.from(`${login}:${password}`, "utf8").toString("base64") };
}

export async function freePort() {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address();
  server.close();
  await once(server, "close");
  return port;
}
