// The weight and steadiness of a first view, an operator's theme, and an operator's demand for a
// second factor.

import assert from "node:assert/strict";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";

import { newVisitor, openBrowser } from "../support/browser.js";
import { managersTab } from "../support/journey.js";
import { judge } from "../support/judges.js";
import { startPortal } from "../support/portal.js";
import { beginSecondFactor, qrCode } from "../support/second-factor.js";

const logo = `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 10 10"><circle cx="5" cy="5" r="5"/></svg>`;
let portal, themed, browser, theme;
before(async () => {
  theme = await mkdtemp(join(tmpdir(), "raccord-theme-"));
  await writeFile(join(theme, "theme.css"), "@media (prefers-color-scheme: light) { :root { --accent: rgb(96, 0, 96); } }");
  await writeFile(join(theme, "logo.svg"), logo);
  await writeFile(join(theme, "operator.txt"), "Ministère des Essais\n");
  [portal, themed, browser] = await Promise.all([startPortal(), startPortal({ RACCORD_THEME_DIR: theme, RACCORD_REQUIRE_MFA: "managers" }), openBrowser()]);
});
after(async () => {
  await browser.close();
  await Promise.all([portal.stop(), themed.stop()]);
  await rm(theme, { recursive: true });
});

/**
 * Opens a page with an empty cache; says how many bytes came, how much moved, and what may be kept.
 */
async function firstView(visitor, path) {
  const { page } = visitor;
  const devtools = await visitor.context.newCDPSession(page);
  await devtools.send("Network.enable");
  await devtools.send("Network.clearBrowserCache");
  let bytes = 0;
  devtools.on("Network.loadingFinished", ({ encodedDataLength }) => (bytes += encodedDataLength));
  const files = [];
  const keep = (response) => response.url().includes("/static/") && files.push(response);
  page.on("response", keep);
  await page.goto(path);
  await page.waitForLoadState("networkidle");
  page.off("response", keep);
  await devtools.detach();
  const shift = await page.evaluate(
    () =>
      new Promise((resolve) => {
        let sum = 0;
        new PerformanceObserver((list) => list.getEntries().forEach((entry) => (sum += entry.value))).observe({ type: "layout-shift", buffered: true });
        setTimeout(() => resolve(sum), 300);
      }),
  );
  return { bytes, shift, files };
}

test("a first view is light, nothing in it moves, and its files are kept for ever", async () => {
  const visitor = await newVisitor(browser, portal);
  const views = [["/connexion"], ["/documentation-api"], ["/activites", portal.manager], ["/activites/utilisateurs-techniques"], ["/mon-compte"]];
  for (const [path, person] of views) {
    if (person) await visitor.signIn(person);
    const { bytes, shift, files } = await firstView(visitor, path);
    // Before a proxy compresses them.
    assert(bytes > 3_000 && bytes < 100_000, `${path}: ${bytes} bytes`);
    assert.equal(shift, 0, `${path} moves`);
    assert(files.length >= 2, `${path} has a stylesheet and a script`);
    for (const file of files) {
      assert.match(new URL(file.url()).pathname, /^\/static\/[0-9a-f]{16}\/[a-z]+\.(css|js|svg)$/);
      assert.equal(file.headers()["cache-control"], "public, max-age=31536000, immutable");
    }
  }
  await visitor.leave();
});

test("an operator’s theme is laid over the look", async () => {
  const visitor = await newVisitor(browser, themed);
  const { page } = visitor;
  await page.goto("/connexion");
  await visitor.look("theme");
  assert.equal(await page.getByRole("button").evaluate((button) => getComputedStyle(button).backgroundColor), "rgb(96, 0, 96)");
  assert(await page.locator("img.brand-logo").evaluate((image) => image.complete && image.naturalWidth > 0), "the logo is there");
  assert.equal(await page.locator("header").getByText("Ministère des Essais").count(), 1);
  assert.equal(await page.locator("footer").getByText("Ministère des Essais").count(), 1);
  await visitor.leave();
});

test("an operator’s demand for a second factor is told, and leads to it", async () => {
  const visitor = await newVisitor(browser, themed);
  await visitor.signIn(themed.manager);
  await visitor.seesTitle("Double authentification");
  await visitor.sees("Les gestionnaires principaux doivent activer la double authentification avant d’utiliser le portail.");
  await visitor.look("double-authentification-exigee");
  await visitor.follow(managersTab);
  await visitor.seesTitle("Double authentification");
  await beginSecondFactor(visitor);
  await qrCode(visitor).waitFor();
  await visitor.leave();
});

test("what was typed before a second factor was demanded waits beside it", async () => {
  const visitor = await newVisitor(browser, themed, { reducedMotion: "reduce" });
  const { page } = visitor;
  visitor.expectStatus(403);
  await page.goto("/connexion");
  // A form that was open when the operator demanded a second factor and the session ended.
  await page.evaluate(() => {
    const form = Object.assign(document.createElement("form"), { method: "post", action: "/structures/1/utilisateurs-techniques" });
    for (const [name, value] of [["jeton", "un-jeton-de-forme-correcte"], ["libelle", "Logiciel de paie"]]) {
      form.append(Object.assign(document.createElement("input"), { name, value }));
    }
    document.body.append(form);
    form.submit();
  });
  await visitor.seesTitle("Connexion");
  await visitor.signInHere(themed.manager);
  await visitor.seesTitle("Reprenez votre saisie");
  await visitor.sees("Logiciel de paie");
  await visitor.sees("Les gestionnaires principaux doivent activer la double authentification");
  assert.deepEqual(await judge(page, await visitor.html()), []);
  await visitor.look("reprise-de-saisie-double-authentification");
  const opened = page.waitForEvent("popup");
  await visitor.follow("activez la double authentification (nouvel onglet)");
  await (await opened).waitForURL("**/mon-compte/double-authentification");
  await visitor.leave();
});
