// What is to be done is a few clicks away, and lists are short on a telephone.

import assert from "node:assert/strict";
import { test } from "node:test";

import { newVisitor } from "../support/browser.js";
import { managersTab, openStructure, readSummary, exportSheet, leaveSummary, structureWith, submitCreation } from "../support/journey.js";
import { scriptings, withPortal } from "../support/setup.js";

let portal, browser;
withPortal((ready) => ({ portal, browser } = ready));

/** A visitor who is signed in, and whose clicks from then on are counted. */
async function counted(options) {
  const visitor = await newVisitor(browser, portal, options);
  await visitor.signIn(portal.manager);
  await visitor.seesTitle(managersTab);
  const clicks = [];
  for (const way of ["follow", "press"]) {
    const click = visitor[way].bind(visitor);
    visitor[way] = (name, ...rest) => (clicks.push(name), click(name, ...rest));
  }
  return { visitor, clicks };
}

for (const { javaScript, name } of scriptings) {
  test(`the first account to renew is two clicks from the sign-in ${name}`, async () => {
    const { visitor, clicks } = await counted({ javaScript });
    const { page } = visitor;
    const due = await page.getByRole("link", { name: /^\d+ à renouveler sous 60 jours$/ }).innerText();
    await visitor.follow(due);
    await visitor.seesTitle("Utilisateurs techniques");
    const rows = page.locator("tbody tr");
    assert.equal(await rows.count(), parseInt(due, 10), "the count is that of the list");
    const first = await rows.first().getByRole("rowheader").getByRole("link").innerText();
    await visitor.follow(first);
    await visitor.seesTitle(first);
    assert.deepEqual(clicks, [due, first]);
    await visitor.leave();
  });

  test(`why calls stopped is on the screen two clicks from the sign-in ${name}`, async () => {
    for (const size of [{ width: 1280, height: 900 }, { width: 390, height: 844 }]) {
      const { visitor, clicks } = await counted({ javaScript, ...size });
      const { page } = visitor;
      const due = await page.getByRole("link", { name: /^\d+ en échec$/ }).innerText();
      await visitor.follow(due);
      await visitor.seesTitle("Utilisateurs techniques");
      await visitor.follow(await page.locator("tbody tr").first().getByRole("rowheader").getByRole("link").innerText());
      const banner = page.locator(".banner");
      await banner.waitFor();
      assert.equal(clicks.length, 2, clicks.join(", "));
      assert.match(await banner.innerText(), /Depuis le .+\s: mot de passe (expiré|incorrect)\. Le dernier, .+, venait de l’adresse [\d.]+ \(logiciel «.+»\)/s);
      const { y, height } = await banner.boundingBox();
      assert(y + height <= size.height, `the banner ends at ${y + height} px of ${size.height}`);
      await visitor.leave();
    }
  });

  test(`an account in a given structure is four clicks from the sign-in, and is found again ${name}`, async () => {
    const scout = await newVisitor(browser, portal);
    await scout.signIn(portal.manager);
    const structure = await structureWith(scout, 0);
    await scout.leave();
    const { visitor, clicks } = await counted({ javaScript });
    const { page } = visitor;
    await page.getByLabel("Rechercher une structure").fill(structure);
    await visitor.press("Rechercher");
    await visitor.follow(`Modifier la fiche structure ${structure}`);
    await visitor.follow("Créer un utilisateur technique");
    await submitCreation(visitor, "Quatre clics");
    const { login } = await readSummary(visitor);
    assert.equal(clicks.length, 4, clicks.join(", "));
    await exportSheet(visitor);
    await leaveSummary(visitor);
    await visitor.seesTitle(structure);
    // At its row, which looks different.
    const row = visitor.row("Quatre clics");
    await row.getByRole("cell", { name: login }).waitFor();
    assert(await row.evaluate((row) => row.matches(":target")), page.url());
    const backgrounds = await page.locator("tbody tr").evaluateAll((rows) => rows.map((row) => getComputedStyle(row).backgroundColor));
    assert.equal(new Set(backgrounds).size, 2, backgrounds.join(", "));
    await visitor.leave();
  });
}

test("on a telephone twenty rows of a list are less than 3,000 px high", async () => {
  const { visitor } = await counted({ width: 390, height: 844 });
  const { page } = visitor;
  const height = () => page.evaluate(() => document.documentElement.scrollHeight);
  assert.equal(await page.locator("tbody tr").count(), 20);
  assert((await height()) <= 3_000, `Mes structures: ${await height()} px`);
  await page.goto("/activites/utilisateurs-techniques");
  const rows = await page.locator("tbody tr").evaluateAll((rows) => rows[20].getBoundingClientRect().top - rows[0].getBoundingClientRect().top);
  assert(rows <= 3_000, `Utilisateurs techniques: ${rows} px`);
  await page.goto("/mon-compte");
  const memberships = page.getByRole("table", { name: "Mes rattachements" });
  assert.equal(await memberships.locator("tbody tr").count(), 20);
  const { height: list } = await memberships.boundingBox();
  assert(list <= 3_000, `Mes rattachements: ${list} px`);
  await visitor.leave();
});

test("what is done in a structure is in the first screen of a desktop and of a telephone", async () => {
  for (const size of [{ width: 1280, height: 900 }, { width: 390, height: 844 }]) {
    const { visitor } = await counted(size);
    await openStructure(visitor, await structureWith(visitor, 2));
    const { y, height } = await visitor.page.getByRole("link", { name: "Créer un utilisateur technique" }).boundingBox();
    assert(y + height <= size.height, `at ${y} px of ${size.height}`);
    await visitor.leave();
  }
});
