// One Chromium per test file, with visitors that have cookies of their own. All journeys check here
// that no page has errors in the console, violations of the content security policy or failed
// requests.

import assert from "node:assert/strict";
import { mkdir } from "node:fs/promises";
import { join } from "node:path";

import { chromium } from "playwright-core";

import { axe } from "./judges.js";
import { root } from "./portal.js";

const flags = [
  "--no-sandbox",
  "--disable-gpu",
  "--disable-quic",
  "--no-first-run",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
];
export const gallery = join(process.env.CARGO_TARGET_DIR ?? join(root, "target"), "gallery");

export async function openBrowser() {
  await mkdir(gallery, { recursive: true });
  return chromium.launch({ executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium", args: flags });
}

/** A visitor with an empty browser. */
export async function newVisitor(browser, portal, options = {}) {
  const { javaScript = true, width = 1280, height = 900, alsoVisits, foreign, ...others } = options;
  const context = await browser.newContext({
    baseURL: portal.url,
    javaScriptEnabled: javaScript,
    viewport: { width, height },
    locale: "fr-FR",
    timezoneId: "Europe/Paris",
    ...others,
  });
  // Two cores build, serve and look at once.
  context.setDefaultTimeout(30_000);
  return new Visitor(context, await context.newPage(), portal, { javaScript, alsoVisits, foreign });
}

class Visitor {
  #faults = [];
  /** Statuses ≥ 400 that the journey causes on purpose. */
  #expected = new Set();
  /** The page as the portal sent it. */
  #sent;

  /**
   * `alsoVisits` and `foreign` are the other places to which pages lead. What is wrong with the
   * pages of `foreign`, which other people wrote, is no fault.
   */
  constructor(context, page, portal, { javaScript, alsoVisits = portal.url, foreign }) {
    Object.assign(this, { context, page, portal, javaScript });
    const isForeign = (url) => foreign !== undefined && url.startsWith(foreign);
    page.on("console", (message) => {
      if (isForeign(message.location().url)) return;
      // Chromium writes a line for each page of status ≥ 400, whose status is checked below.
      const failure = message.text().startsWith("Failed to load resource");
      if (["error", "warning"].includes(message.type()) && !failure) this.#faults.push(`console: ${message.text()}`);
    });
    page.on("response", (response) => {
      if (response.request().isNavigationRequest() && ![204, 303].includes(response.status())) {
        this.#sent = response.text().catch(() => "");
        this.status = response.status();
      }
    });
    page.on("pageerror", (error) => this.#faults.push(`script: ${error}`));
    page.on("response", (response) => {
      const status = response.status();
      if (status >= 400 && !this.#expected.has(status) && !isForeign(response.url())) this.#faults.push(`${status} ${response.url()}`);
    });
    page.on("request", (request) => {
      const isKnown = isForeign(request.url()) || [portal.url, alsoVisits].some((place) => request.url().startsWith(place));
      if (!isKnown) this.#faults.push(`a request to ${request.url()}`);
    });
  }

  /** The HTML of the page, before any script. */
  html() {
    return this.#sent;
  }

  expectStatus(...statuses) {
    for (const status of statuses) this.#expected.add(status);
  }

  async leave() {
    await this.context.close();
    assert.deepEqual(this.#faults, []);
  }

  async signIn(person) {
    await this.page.goto("/connexion");
    await this.signInHere(person);
  }

  /** Signs in on the page that is open. */
  async signInHere({ login, password }) {
    await this.page.getByLabel("Identifiant de connexion").fill(login);
    await this.page.getByLabel("Mot de passe", { exact: true }).fill(password);
    await this.press("Se connecter");
  }

  /** Presses the one button of that name. */
  async press(name, within = this.page) {
    await within.getByRole("button", { name, exact: true }).click();
  }

  async follow(name, within = this.page) {
    await within.getByRole("link", { name, exact: true }).first().click();
  }

  async seesTitle(title) {
    await this.page.getByRole("heading", { level: 1, name: title, exact: true }).waitFor();
  }

  async sees(text) {
    await this.page.getByText(text).filter({ visible: true }).first().waitFor();
  }

  /** The description of a term in a description list. */
  fact(term) {
    const name = new RegExp(`^${term}$`);
    return this.page.locator("dl > div").filter({ has: this.page.locator("dt", { hasText: name }) }).locator("dd").first();
  }

  /** The table row that a row header of this text begins. */
  row(header) {
    return this.page.getByRole("row").filter({ has: this.page.getByRole("rowheader", { name: header, exact: true }) });
  }

  /** Judges the page as it is now, and keeps its picture. */
  async look(name) {
    if (this.javaScript) await this.judge(name);
    await this.page.screenshot({ path: join(gallery, `${name}.png`), fullPage: true });
  }

  async judge(name) {
    assert.deepEqual(await axe(this.page), [], `accessibility of ${name}`);
  }

  /** WCAG 1.4.10: nothing to scroll sideways, whatever the page holds. */
  async fitsItsWidth(name) {
    const { content, width } = await this.page.evaluate(() => ({
      content: document.documentElement.scrollWidth,
      width: document.documentElement.clientWidth,
    }));
    assert(content <= width, `${name} is ${content} px wide in a window of ${width} px`);
  }
}
