// The A.I.F.E.'s guide: create a technical user, see its password once, export it, reset it.

import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { test } from "node:test";
import { promisify } from "node:util";

import { newVisitor } from "../support/browser.js";
import {
  confirm,
  createTechnicalUser,
  endAtOnce,
  exportSheet,
  leaveSummary,
  managersTab,
  openCreation,
  openStructure,
  readSummary,
  reset,
  structureWith,
  submitCreation,
} from "../support/journey.js";
import { scriptings, withPortal } from "../support/setup.js";

const run = promisify(execFile);
let portal, browser;
withPortal((ready) => ({ portal, browser } = ready));

for (const { javaScript, name, suffix } of scriptings) {
  test(`the whole guide can be clicked through ${name}`, async () => {
    const visitor = await newVisitor(browser, portal, { javaScript });
    const { page } = visitor;
    const picture = (step) => visitor.look(`guide-${suffix}-${step}`);

    await page.goto("/");
    await visitor.seesTitle("Connexion");
    await picture("01-connexion");
    await visitor.signIn(portal.manager);

    // The tab, the search, the icon link.
    await visitor.seesTitle(managersTab);
    await visitor.sees(/^300 structures/);
    await picture("02-activites");
    const structure = await structureWith(visitor, 0);
    await openStructure(visitor, structure);
    await visitor.sees("Cette structure n’a pas encore d’utilisateur technique.");
    await picture("03-fiche-structure");

    // The form shows all about the new account but its password.
    await openCreation(visitor);
    const announced = await visitor.fact("Identifiant de connexion").textContent();
    assert.match(announced, /^TECH_1_\d{14}@cpro\.fr$/);
    await picture("04-saisie");
    await submitCreation(visitor, "Logiciel de facturation");

    // Shown once.
    const { login, password } = await readSummary(visitor);
    assert.equal(login, announced);
    await visitor.sees("Attention : le mot de passe ne sera jamais réaffiché en dehors de cet écran.");
    await picture("05-recapitulatif");
    const expectedAccount = Buffer.from(`${login}:${password}`).toString("base64");
    assert.equal(await page.locator("#cpro-account").textContent(), expectedAccount);
    if (javaScript) {
      await visitor.context.grantPermissions(["clipboard-read", "clipboard-write"]);
      await visitor.press("Copier");
      await visitor.sees("Mot de passe copié.");
      assert.equal(await page.evaluate(() => navigator.clipboard.readText()), password);
    } else {
      assert.equal(await page.getByRole("button", { name: "Copier" }).count(), 0);
    }

    // The command line that tests the connection works.
    const pasted = await run("sh", ["-c", await page.locator("#commande-curl").textContent()]);
    assert.equal(JSON.parse(pasted.stdout).statusCode, "OK");

    // It is exported as often as wanted while it is displayed.
    for (let times = 0; times < 2; times++) {
      const sheet = await exportSheet(visitor);
      assert.equal(sheet.name, `raccord-${login}.pdf`);
      for (const text of [login, password, portal.url, "Informations de connexion"]) assert(sheet.text.includes(text), text);
    }

    await page.reload();
    await visitor.sees("Le mot de passe a déjà été affiché.");
    assert(!(await page.content()).includes(password));
    await picture("06-deja-affiche");
    await leaveSummary(visitor);
    await visitor.seesTitle(structure);
    await visitor.row("Logiciel de facturation").getByRole("cell", { name: login }).waitFor();
    await picture("07-fiche-avec-le-compte");

    // The account works for all structures of the manager, and for the API alone.
    assert.equal((await portal.healthCheck(login, password)).status, 200);
    const { access_token: token } = await (await portal.token(login, password)).json();
    const structures = await portal.memberships(login, password);
    assert.equal(new Set(structures.map(({ idStructure }) => idStructure)).size, 300);
    assert(structures.some(({ designationStructure }) => designationStructure === structure));
    await technicalUserIsRefused(login, password, javaScript);

    // The reset.
    await visitor.follow("Logiciel de facturation");
    await visitor.seesTitle("Logiciel de facturation");
    await picture("08-utilisateur-technique");
    await dismissReset(visitor, picture);
    assert.equal((await portal.healthCheck(login, password)).status, 200);
    await confirm(visitor, reset);
    const renewed = await readSummary(visitor);
    assert.equal(renewed.login, login);
    assert.notEqual(renewed.password, password);
    const refusal = await portal.healthCheck(login, password);
    assert.equal(refusal.status, 401);
    assert.match(refusal.headers.get("www-authenticate"), /^Bearer realm="PISTE"/);
    assert.equal((await portal.healthCheck(login, renewed.password)).status, 200);
    const oldToken = { headers: { authorization: `Bearer ${token}` } };
    assert.equal((await fetch(`${portal.url}/cpro/transverses/v1/health-check`, oldToken)).status, 401);

    // Back does not show the password again.
    assert((await exportSheet(visitor)).text.includes(renewed.password));
    await leaveSummary(visitor);
    await visitor.seesTitle(structure);
    await page.goBack();
    await visitor.sees("Le mot de passe a déjà été affiché.");
    assert(!(await page.content()).includes(renewed.password));
    await visitor.leave();
  });

  test(`a new contact address is its technical users’ at once ${name}`, async () => {
    const visitor = await newVisitor(browser, portal, { javaScript });
    await visitor.signIn(portal.manager);
    const structure = await structureWith(visitor, 0);
    await openStructure(visitor, structure);
    const { login } = await createTechnicalUser(visitor, "Contact");
    const address = `facturation.${javaScript ? 1 : 2}@exemple.fr`;
    await exportSheet(visitor);
    await visitor.follow("Mon compte");
    await visitor.look(`mon-compte-${suffix}`);
    await visitor.page.getByLabel("Adresse de contact").fill(address);
    await visitor.press("Enregistrer l’adresse de contact");
    await visitor.sees("Votre adresse de contact est enregistrée.");
    await openStructure(visitor, structure);
    await visitor.row("Contact").getByRole("cell", { name: address }).waitFor();
    await visitor.follow("Contact");
    await visitor.fact("Adresse de contact").getByText(address).waitFor();
    assert.equal(await visitor.fact("Identifiant de connexion").textContent(), login);
    await visitor.leave();
  });
}

async function technicalUserIsRefused(login, password, javaScript) {
  const machine = await newVisitor(browser, portal, { javaScript });
  machine.expectStatus(422);
  await machine.signIn({ login, password });
  await machine.sees("Un compte technique ne permet pas de se connecter au portail.");
  await machine.look(`refus-compte-technique-${javaScript ? "avec" : "sans"}-script`);
  await machine.leave();
}

/** « Annuler », Échap, and back where the focus was. */
async function dismissReset(visitor, picture) {
  const { page } = visitor;
  if (!visitor.javaScript) {
    await visitor.press(reset);
    await visitor.seesTitle(reset);
    await picture("09-confirmation");
    await visitor.follow("Annuler");
    return visitor.seesTitle("Logiciel de facturation");
  }
  const dialog = page.getByRole("dialog", { name: reset });
  const opener = page.getByRole("button", { name: reset, exact: true });
  const focused = (locator) => locator.evaluate((element) => element === document.activeElement);
  for (const dismiss of [() => visitor.press("Annuler", dialog), () => page.keyboard.press("Escape")]) {
    await opener.click();
    await dialog.waitFor();
    await dialog.getByLabel(endAtOnce, { exact: true }).check();
    await visitor.sees("Les logiciels qui utilisent l’ancien mot de passe ne pourront plus se connecter.");
    assert(await dialog.evaluate((element) => element.contains(document.activeElement)), "the focus is in the dialog");
    await picture("09-popup");
    await dismiss();
    await dialog.waitFor({ state: "hidden" });
    assert(await focused(opener), "the focus is back on the button");
  }
}
