// The second factor, from « Mon compte » to the sign-in that asks for it.

import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { test } from "node:test";

import { newVisitor } from "../support/browser.js";
import { createTechnicalUser, download, exportButton, managersTab, openStructure, structureWith } from "../support/journey.js";
import { beginSecondFactor, code, codeField, confirmKey, giveCode, qrCode, secondFactorPage } from "../support/second-factor.js";
import { scriptings, withPortal } from "../support/setup.js";

let portal, browser;
withPortal((ready) => ({ portal, browser } = ready));

for (const { javaScript, name, suffix } of scriptings) {
  const picture = (visitor, what) => visitor.look(`identite-${suffix}-${what}`);

  test(`a second factor is set up, asked for and taken off ${name}`, async () => {
    const visitor = await newVisitor(browser, portal, { javaScript, acceptDownloads: true });
    const { page } = visitor;
    visitor.expectStatus(422);
    await visitor.signIn(portal.managerOfOne);
    await visitor.follow("Mon compte");
    await visitor.follow("Activer la double authentification");
    await visitor.seesTitle("Double authentification");
    await picture(visitor, "sans");
    const key = await beginSecondFactor(visitor);
    await qrCode(visitor).waitFor();
    await visitor.fitsItsWidth("l’activation");
    await picture(visitor, "cle");
    await confirmKey(visitor, "12345");
    await visitor.sees("Le code est incorrect.");
    await picture(visitor, "code-refuse");
    await confirmKey(visitor, code(key, -1));
    await visitor.seesTitle("Codes de secours");
    const codes = await page.locator("#codes code").allTextContents();
    assert.equal(codes.length, 10);
    for (const each of codes) portal.remember(each);
    await picture(visitor, "codes");
    const file = await download(visitor, "Télécharger les codes");
    assert.equal(file.name, "raccord-codes-de-secours.txt");
    assert.equal(await readFile(file.path, "utf8"), `${codes.join("\n")}\n`);
    assert.equal(await page.getByRole("button", { name: "Imprimer" }).count(), javaScript ? 1 : 0);
    await visitor.follow("J’ai conservé mes codes");
    await visitor.sees("Il vous reste 10 codes de secours.");
    await picture(visitor, "avec");
    await visitor.press("Se déconnecter");

    await visitor.signIn(portal.managerOfOne);
    await visitor.seesTitle("Code de vérification");
    await picture(visitor, "demande");
    await giveCode(visitor, "000");
    await visitor.sees("Le code est incorrect ou a déjà servi.");
    await giveCode(visitor, code(key));
    await visitor.seesTitle(managersTab);
    await visitor.press("Se déconnecter");

    await visitor.signIn(portal.managerOfOne);
    await giveCode(visitor, codes[3].toLowerCase());
    await visitor.seesTitle(managersTab);
    await page.goto(secondFactorPage);
    await visitor.sees("Il vous reste 9 codes de secours.");
    await visitor.press("Désactiver");
    await visitor.sees("La double authentification est désactivée. Un courriel vous le confirme.");
    await visitor.leave();
  });
}

test("the end of a session is announced, and put off without losing what is being typed", async () => {
  const visitor = await newVisitor(browser, portal);
  const { page } = visitor;
  await page.clock.install();
  await visitor.signIn(portal.member);
  await visitor.seesTitle("Mon compte");
  const field = page.getByLabel("Adresse de contact");
  await field.fill("en-cours@exemple.fr");
  await page.clock.fastForward("24:00");
  const warning = page.getByRole("complementary", { name: "Fin de session" });
  assert.equal(await warning.count(), 0);
  await page.clock.fastForward("01:30");
  await visitor.sees("Votre session se termine dans 5 minutes.");
  assert.equal(await page.evaluate(() => document.activeElement.id), "adresse-de-contact", "the focus stays");
  await visitor.look("session-bientot-finie");
  await visitor.press("Rester connecté");
  await warning.waitFor({ state: "hidden" });
  assert.equal(await field.inputValue(), "en-cours@exemple.fr");
  await page.clock.fastForward("25:30");
  await warning.waitFor();
  await page.clock.fastForward("05:00");
  await visitor.sees("Votre session est terminée.");
  assert.equal(await page.getByRole("button", { name: "Rester connecté" }).count(), 0);
  await visitor.leave();
});

test("what was shown once leaves the screen with the session, and what was typed does not", async () => {
  const visitor = await newVisitor(browser, portal);
  const { page } = visitor;
  await page.clock.install();
  await visitor.signIn(portal.manager);
  const ends = async (...secrets) => {
    const holds = (text) => page.evaluate((text) => document.documentElement.outerHTML.includes(text) || document.body.textContent.includes(text) || [...document.querySelectorAll("input")].some(({ value }) => value.includes(text)), text);
    for (const secret of secrets) assert(await holds(secret), "it is there while the session lasts");
    await page.clock.fastForward("29:00");
    for (const secret of secrets) assert(await holds(secret), "and until its end");
    await page.clock.fastForward("01:30");
    await visitor.sees("Votre session est terminée.");
    for (const secret of secrets) assert(!(await holds(secret)), "and no longer");
  };
  await openStructure(visitor, await structureWith(visitor, 0));
  const { login, password } = await createTechnicalUser(visitor, "Effacé");
  const account = Buffer.from(`${login}:${password}`).toString("base64");
  await ends(password.slice(8, 16), account);
  await visitor.look("recapitulatif-session-finie");
  assert.equal(await page.getByRole("button", { name: exportButton }).count(), 0);
  assert.equal(await page.getByRole("button", { name: "Copier la valeur" }).count(), 0);
  // There is nothing left to lose: the page is left without a question.
  page.on("dialog", () => assert.fail("no question"));
  await page.goto("/activites/echeances");
  await visitor.press("Créer un lien d’abonnement");
  const link = await page.getByLabel("Lien d’abonnement").inputValue();
  portal.remember(link.split("/").pop());
  await ends(link);
  await page.goto(secondFactorPage);
  const key = await beginSecondFactor(visitor);
  await codeField(visitor).fill("123 4");
  await ends(key.slice(0, 4));
  assert.equal(await codeField(visitor).inputValue(), "123 4");
  assert.equal(await qrCode(visitor).count(), 0);
  await visitor.leave();
});
