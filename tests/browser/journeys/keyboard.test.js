// The whole guide by Tab, Shift+Tab, Enter, Space, Escape, arrows and typing alone.

import assert from "node:assert/strict";
import { test } from "node:test";

import { newVisitor } from "../support/browser.js";
import { exportButton, managersTab, passwordOf, reset, structureWith } from "../support/journey.js";
import { Keyboard } from "../support/keyboard.js";
import { withPortal } from "../support/setup.js";

let portal, browser;
withPortal((ready) => ({ portal, browser } = ready));

test("an account is created, its password kept and reset by the keyboard alone", async () => {
  const visitor = await newVisitor(browser, portal, { permissions: ["clipboard-read", "clipboard-write"], reducedMotion: "reduce" });
  const { page } = visitor;
  const person = new Keyboard(visitor);
  visitor.expectStatus(422);
  const structure = await emptyStructure();

  // Past the header by the skip link, and from field to field in order.
  await page.goto("/connexion");
  assert.equal(await person.tab(), "Aller au contenu");
  await person.isSeen("Aller au contenu");
  await person.keys.press("Enter");
  assert.equal(await page.evaluate(() => document.activeElement.id), "contenu");
  assert.equal(await person.tab(), "Identifiant de connexion");
  await person.isSeen("Identifiant de connexion");
  await person.keys.type(portal.manager.login);
  assert.equal(await person.tab(), "Mot de passe");
  await person.isSeen("Mot de passe");
  await person.keys.type(portal.manager.password);
  assert.equal(await person.tab(), "Se connecter");
  await person.isSeen("Se connecter");
  await person.opens("Enter", managersTab);

  await person.tabTo("Rechercher une structure");
  await person.keys.type(structure);
  await person.keys.press("Enter");
  await visitor.sees(`pour « ${structure} »`);
  await person.tabTo(`Modifier la fiche structure ${structure}`);
  await person.opens("Enter", structure);

  await person.tabTo("Créer un utilisateur technique");
  await person.opens("Enter", "Saisie utilisateur technique");

  // A mistake: the summary has the focus, and leads to the field.
  await person.tabTo("Libellé");
  await person.keys.type("x".repeat(101));
  await person.tabTo("Créer l’utilisateur technique");
  await person.keys.press("Space");
  await visitor.sees("Le formulaire comporte 1 erreur");
  assert.equal(await page.evaluate(() => document.activeElement.id), "erreurs");
  assert.equal(await person.tab(), "Le libellé ne peut pas dépasser 100 caractères.");
  await person.keys.press("Enter");
  await person.hasFocus("Libellé");
  await person.keys.press("Control+a");
  await person.keys.type("Au clavier");
  await person.keys.press("Enter");
  await visitor.seesTitle("Récapitulatif");
  const password = await shownPassword();

  await person.tabTo("Copier");
  await person.keys.press("Space");
  await visitor.sees("Mot de passe copié.");
  await person.hasFocus("Copier");
  assert.equal(await page.evaluate(() => navigator.clipboard.readText()), password);
  await person.tabTo(exportButton);
  const [download] = await Promise.all([page.waitForEvent("download"), person.keys.press("Enter")]);
  assert.match(download.suggestedFilename(), /^raccord-TECH_1_\d+@cpro\.fr\.pdf$/);
  await person.hasFocus(exportButton);
  await person.tabTo("Retour sur la fiche structure");
  await person.opens("Enter", structure);
  await person.tabTo("Au clavier");
  await person.opens("Enter", "Au clavier");

  // The popup keeps the focus, closes by Échap and by « Annuler », and gives the focus back.
  const dialog = page.getByRole("dialog", { name: reset });
  for (const [open, close] of [["Enter", () => person.keys.press("Escape")], ["Space", cancel]]) {
    if ((await person.focus()) !== reset) await person.tabTo(reset);
    await person.keys.press(open);
    await dialog.waitFor();
    await person.hasFocus(reset);
    assert(await inDialog(), "the focus is in the dialog");
    await staysInDialog();
    await close();
    await dialog.waitFor({ state: "hidden" });
    assert(await page.evaluate(() => document.activeElement.matches("[data-dialog]")), "the focus is back on the button");
    await person.hasFocus(reset);
    await person.isSeen(reset);
  }

  // Arrows choose, the warning follows the choice, and the reset is done.
  const outcome = () => dialog.locator(".outcome[aria-live]").innerText();
  await person.keys.press("Enter");
  await dialog.waitFor();
  await person.tabTo("Supprimer immédiatement l’ancien mot de passe");
  await person.keys.press("ArrowDown");
  await person.hasFocus("Garder l’ancien mot de passe pendant 24 heures");
  assert(await page.locator("#ancien-24").isChecked());
  assert.match(await outcome(), /^Si vous gardez l’ancien mot de passe 24\sheures, /);
  await person.keys.press("ArrowUp");
  assert(await page.locator("#ancien").isChecked());
  assert.match(await outcome(), /^Les logiciels qui utilisent l’ancien mot de passe ne pourront plus se connecter\./);
  await person.tabTo("Confirmer");
  await person.keys.press("Enter");
  await visitor.seesTitle("Récapitulatif");
  const renewed = await shownPassword();
  assert.notEqual(renewed, password);
  await person.tabTo("Copier");
  await person.keys.press("Enter");
  await visitor.sees("Mot de passe copié.");

  // Backwards to the header, and out.
  await person.tabTo("Se déconnecter", "Shift+Tab");
  await person.keys.press("Enter");
  await visitor.sees("Vous êtes déconnecté.");
  await visitor.leave();

  async function shownPassword() {
    const text = await passwordOf(visitor).textContent();
    portal.remember(text);
    return text;
  }

  function inDialog() {
    return dialog.evaluate((element) => element.contains(document.activeElement));
  }

  /**
   * Tabs round in both directions: the page behind never has the focus, the browser's own bar may.
   */
  async function staysInDialog() {
    const round = new Set();
    for (const key of [...Array(8).fill("Tab"), ...Array(8).fill("Shift+Tab")]) {
      const focus = await person.tab(key);
      round.add(focus);
      assert(focus === "body" || (await inDialog()), `« ${focus} » has the focus, behind the dialog`);
      if (focus !== "body") await person.isSeen(focus);
    }
    for (const button of ["Confirmer", "Annuler"]) assert(round.has(button), `${button} can be reached`);
  }

  async function cancel() {
    await person.tabTo("Annuler");
    await person.keys.press("Space");
  }
});

/**
 * The name of a structure of the manager without technical users, found in another browser before.
 */
async function emptyStructure() {
  const scout = await newVisitor(browser, portal);
  await scout.signIn(portal.manager);
  const name = await structureWith(scout, 0);
  await scout.leave();
  return name;
}
