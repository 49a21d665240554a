// Narrow windows, dark screens and forced colours, and leaving a password by mistake.

import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { join } from "node:path";
import { test } from "node:test";
import { promisify } from "node:util";

import { newVisitor } from "../support/browser.js";
import {
  createTechnicalUser,
  exportButton,
  leaveWithoutRegret,
  managersTab,
  openStructure,
  passwordOf,
  structureWith,
} from "../support/journey.js";
import { withPortal } from "../support/setup.js";

let portal, browser;
withPortal((ready) => ({ portal, browser } = ready));

test("leaving the password neither copied nor exported asks once", async () => {
  const visitor = await newVisitor(browser, portal);
  const { page } = visitor;
  await visitor.signIn(portal.manager);
  await openStructure(visitor, await structureWith(visitor, 0));
  const { password } = await createTechnicalUser(visitor, "Étourderie");
  let asked = 0;
  page.on("dialog", async (dialog) => {
    asked++;
    assert.equal(dialog.type(), "beforeunload");
    await dialog.dismiss();
  });
  await page.getByRole("link", { name: "Mon compte" }).click({ noWaitAfter: true });
  await page.waitForTimeout(800);
  assert.equal(asked, 1);
  assert.equal(await passwordOf(visitor).textContent(), password);
  await visitor.follow("Mon compte");
  await visitor.seesTitle("Mon compte");
  assert.equal(asked, 1);
  await visitor.leave();
});

test("a password copied from the printed récapitulatif has no gaps", async () => {
  const visitor = await newVisitor(browser, portal);
  await visitor.signIn(portal.manager);
  await openStructure(visitor, await structureWith(visitor, 0));
  const { password } = await createTechnicalUser(visitor, "Imprimé");
  const file = join(portal.directory, "impression.pdf");
  await visitor.page.pdf({ path: file });
  const { stdout } = await promisify(execFile)("pdftotext", ["-layout", file, "-"]);
  assert(stdout.includes(password), stdout.match(/rcd_.*/)?.[0]);
  leaveWithoutRegret(visitor);
  await visitor.leave();
});

test("an export that is refused shows why", async () => {
  const visitor = await newVisitor(browser, portal);
  await visitor.signIn(portal.manager);
  await openStructure(visitor, await structureWith(visitor, 0));
  await createTechnicalUser(visitor, "Trop tard");
  await portal.sql("DELETE FROM envelopes");
  visitor.expectStatus(409);
  await visitor.press(exportButton);
  await visitor.sees("Le mot de passe a déjà été affiché.");
  assert.equal(visitor.status, 409);
  await visitor.leave();
});

test("a click on a structure’s name opens its card", async () => {
  const visitor = await newVisitor(browser, portal);
  await visitor.signIn(portal.manager);
  const structure = await structureWith(visitor, 0);
  await visitor.follow(structure);
  await visitor.seesTitle(structure);
  await visitor.leave();
});

for (const [name, options] of [
  ["320-px", { width: 320, height: 640 }],
  ["sombre", { colorScheme: "dark" }],
  ["contraste", { forcedColors: "active" }],
  ["320-px-sans-script", { width: 320, height: 640, javaScript: false }],
]) {
  test(`every page holds in this setting: ${name}`, async () => {
    const visitor = await newVisitor(browser, portal, options);
    const { page } = visitor;
    visitor.expectStatus(404);
    async function holds(what) {
      await visitor.look(`${name}-${what}`);
      await visitor.fitsItsWidth(what);
    }
    for (const path of [
      "connexion",
      "plan-du-site",
      "accessibilite",
      "mentions-legales",
      "donnees-personnelles",
      "cookies",
      "documentation-api",
      "nulle-part",
      "invitation/perimee",
    ]) {
      await page.goto(`/${path}`);
      await holds(path.replace("/", "-"));
    }
    await visitor.signIn(portal.manager);
    await visitor.seesTitle(managersTab);
    await holds("activites");
    await page.goto("/activites?page=15");
    await holds("activites-derniere-page");
    await page.goto("/mon-compte");
    await holds("mon-compte");
    // One of the demonstration's structures has two accounts, with a past.
    await openStructure(visitor, await structureWith(visitor, 2));
    await holds("fiche-structure");
    await visitor.follow("Logiciel comptable");
    await holds("utilisateur-technique");
    if (visitor.javaScript) {
      await visitor.press("Supprimer");
      await holds("popup");
      await page.keyboard.press("Escape");
    }
    await page.goBack();
    await visitor.follow("Voir tout l’historique");
    await holds("historique");
    await openStructure(visitor, await structureWith(visitor, 0));
    await createTechnicalUser(visitor);
    await holds("recapitulatif");
    leaveWithoutRegret(visitor);
    await page.reload();
    await holds("recapitulatif-deja-affiche");
    await visitor.leave();
  });
}
