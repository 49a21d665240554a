// The second factor, from « Mon compte » to the sign-in that asks for it.

import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { after, before, test } from "node:test";

import { newVisitor, openBrowser } from "../support/browser.js";
import { startPortal } from "../support/portal.js";
import { createTechnicalUser, openStructure, structureWith } from "../support/journey.js";
import { code } from "../support/second-factor.js";

let portal, browser;
before(async () => ([portal, browser] = await Promise.all([startPortal(), openBrowser()])));
after(async () => {
  await browser.close();
  await portal.stop();
});

for (const javaScript of [true, false]) {
  const name = javaScript ? "with scripts" : "without scripts";
  const picture = (visitor, what) => visitor.look(`identite-${name.replace(" ", "-")}-${what}`);

  test(`a second factor is set up, asked for and taken off ${name}`, async () => {
    const visitor = await newVisitor(browser, portal, { javaScript, acceptDownloads: true });
    const { page } = visitor;
    visitor.expectStatus(422);
    await visitor.signIn(portal.managerOfOne);
    await visitor.follow("Mon compte");
    await visitor.follow("Activer la double authentification");
    await visitor.seesTitle("Double authentification");
    await picture(visitor, "sans");
    await visitor.press("Activer la double authentification");
    const key = await page.locator("#cle").textContent();
    portal.remember(key);
    await page.getByRole("img", { name: "QR code de la clé affichée ci-dessous" }).waitFor();
    await visitor.fitsItsWidth("l’activation");
    await picture(visitor, "cle");
    await page.getByLabel("Code de vérification").fill("12345");
    await visitor.press("Vérifier et activer");
    await visitor.sees("Le code est incorrect.");
    await picture(visitor, "code-refuse");
    await page.getByLabel("Code de vérification").fill(code(key, -1));
    await visitor.press("Vérifier et activer");
    await visitor.seesTitle("Codes de secours");
    const codes = await page.locator("#codes code").allTextContents();
    assert.equal(codes.length, 10);
    for (const each of codes) portal.remember(each);
    await picture(visitor, "codes");
    const [download] = await Promise.all([page.waitForEvent("download"), visitor.follow("Télécharger les codes")]);
    assert.equal(download.suggestedFilename(), "raccord-codes-de-secours.txt");
    assert.equal(await readFile(await download.path(), "utf8"), `${codes.join("\n")}\n`);
    assert.equal(await page.getByRole("button", { name: "Imprimer" }).count(), javaScript ? 1 : 0);
    await visitor.follow("J’ai conservé mes codes");
    await visitor.sees("Il vous reste 10 codes de secours.");
    await picture(visitor, "avec");
    await visitor.press("Se déconnecter");

    await visitor.signIn(portal.managerOfOne);
    await visitor.seesTitle("Code de vérification");
    await picture(visitor, "demande");
    await page.getByLabel("Code de vérification").fill("000");
    await visitor.press("Vérifier le code");
    await visitor.sees("Le code est incorrect ou a déjà servi.");
    await page.getByLabel("Code de vérification").fill(code(key));
    await visitor.press("Vérifier le code");
    await visitor.seesTitle("Activités du gestionnaire");
    await visitor.press("Se déconnecter");

    await visitor.signIn(portal.managerOfOne);
    await page.getByLabel("Code de vérification").fill(codes[3].toLowerCase());
    await visitor.press("Vérifier le code");
    await visitor.seesTitle("Activités du gestionnaire");
    await page.goto("/mon-compte/double-authentification");
    await visitor.sees("Il vous reste 9 codes de secours.");
    await visitor.press("Désactiver");
    await visitor.sees("La double authentification est désactivée. Un message vous le confirme.");
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
  assert.equal(await page.getByRole("button", { name: "Exporter les informations de connexion" }).count(), 0);
  assert.equal(await page.getByRole("button", { name: "Copier la valeur" }).count(), 0);
  // Nothing is left to be lost: the page may be left without a question.
  page.on("dialog", () => assert.fail("no question"));
  await page.goto("/activites/echeances");
  await visitor.press("Créer un lien d’abonnement");
  const link = await page.getByLabel("Lien d’abonnement").inputValue();
  portal.remember(link.split("/").pop());
  await ends(link);
  await page.goto("/mon-compte/double-authentification");
  await visitor.press("Activer la double authentification");
  const key = await page.locator("#cle").textContent();
  portal.remember(key);
  await page.getByLabel("Code de vérification").fill("123 4");
  await ends(key.slice(0, 4));
  assert.equal(await page.getByLabel("Code de vérification").inputValue(), "123 4");
  assert.equal(await page.getByRole("img", { name: "QR code de la clé affichée ci-dessous" }).count(), 0);
  await visitor.leave();
});
