// Hundreds of structures on a Monday morning: accounts are created in all of them, and passwords
// renewed from the reminder's link, by the keyboard alone.

import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { readFile, stat } from "node:fs/promises";
import { test } from "node:test";
import { promisify } from "node:util";

import { newVisitor } from "../support/browser.js";
import { judge } from "../support/judges.js";
import { download, leaveWithoutRegret } from "../support/journey.js";
import { Keyboard } from "../support/keyboard.js";
import { scriptings, withPortal } from "../support/setup.js";

const run = promisify(execFile);
let portal, browser;
withPortal((ready) => ({ portal, browser } = ready));

/** At most, in milliseconds, for the sheets of three hundred accounts in a debug build. */
const documentTakes = 60_000;

for (const { javaScript, name } of scriptings) {
  test(`an account is created in every structure, and all are handed over at once, ${name}`, async () => {
    const { manager, person } = await atTheKeyboard(javaScript);
    await person.tabTo("Créer un utilisateur technique dans plusieurs structures");
    await person.opens("Enter", "Activités du gestionnaire");
    await person.tabTo("Les structures cochées");
    await person.keys.press("ArrowDown");
    await person.tabTo("Continuer");
    await person.keys.press("Enter");
    await manager.sees("Facultatif, le même pour tous ces comptes.");
    const heading = await manager.page.getByRole("heading", { level: 1 }).innerText();
    const count = Number(heading.match(/dans (\d+) structures/)[1]);
    assert(count >= 290, heading);
    await person.tabTo("Libellé");
    await person.keys.type(`Logiciel ${name}`);
    await person.keys.press("Enter");
    await finished(manager, person);

    const before = await portal.sql("SELECT count(*) FROM audit_events WHERE action = 'PASSWORD_EXPORTED'");
    const sheets = await download(manager, "Exporter les fiches (PDF)");
    await run("qpdf", ["--check", sheets.path]);
    assert((await stat(sheets.path)).size < 2_000_000);
    const file = await download(manager, "Exporter pour un logiciel (CSV)");
    const lines = (await readFile(file.path, "utf8")).trim().split(/\r?\n/).slice(1);
    assert.equal(lines.length, count);
    const [login, password] = lines.at(-1).split(";").slice(4, 6);
    for (const line of lines) portal.remember(line.split(";")[5]);
    assert.equal((await portal.healthCheck(login, password)).status, 200);
    const exported = (await portal.sql("SELECT count(*) FROM audit_events WHERE action = 'PASSWORD_EXPORTED'")) - before;
    assert.equal(exported, count + 1, "one event an account, one for the second file");

    await openedOnce(await handedOver(manager, person), javaScript, count);
    await manager.leave();
  });

  test(`twelve passwords are renewed from the reminder's link, ${name}`, async () => {
    const { manager, person } = await atTheKeyboard(javaScript);
    await portal.sql(`UPDATE technical_users SET expires_at = now() + interval '200 days' WHERE status = 'ACTIVE';
                      UPDATE technical_users SET expires_at = now() + interval '30 days', last_call_at = NULL WHERE id IN (
                        SELECT t.id FROM technical_users t JOIN structures s ON s.id = t.structure_id JOIN users u ON u.id = s.principal_manager_id
                         WHERE u.login = '${portal.manager.login}' AND t.status = 'ACTIVE' ORDER BY t.id LIMIT 12)`);
    await manager.page.goto("/activites/utilisateurs-techniques?etat=a-renouveler&choix=tous");
    await manager.sees("12 utilisateurs techniques");
    await person.tabTo("Continuer");
    await person.opens("Enter", "Réinitialiser 12 mots de passe");
    await person.tabTo("Réinitialiser 12 mots de passe");
    await person.keys.press("Enter");
    await finished(manager, person);
    assert.match((await download(manager, "Exporter pour un logiciel (CSV)")).name, /^raccord-lot-\d+\.csv$/);
    await openedOnce(await handedOver(manager, person), javaScript, 12);
    await manager.leave();
  });
}

test("structures of two pages are chosen together, without scripts", async () => {
  const { manager } = await atTheKeyboard(false);
  await manager.page.goto("/activites?choix=oui");
  const boxes = manager.page.locator("input[type=checkbox]");
  await boxes.nth(1).check();
  await boxes.nth(4).check();
  await manager.press("Page suivante");
  await manager.sees("2 structures choisies");
  assert.equal(await manager.page.locator("input[type=checkbox]:checked").count(), 0);
  await boxes.nth(0).check();
  await manager.press("Continuer");
  await manager.seesTitle("Créer un utilisateur technique dans 3 structures");
  await manager.follow("Annuler");
  await manager.sees("3 structures choisies");
  assert.equal(await manager.page.locator("input[type=checkbox]:checked").count(), 1);
  await manager.press("Page précédente");
  assert.equal(await manager.page.locator("input[type=checkbox]:checked").count(), 2);
  await manager.leave();
});

test("the number of chosen structures follows the boxes", async () => {
  const { manager } = await atTheKeyboard(true);
  await manager.page.goto("/activites?choix=page");
  await manager.sees("100 structures choisies");
  await manager.page.locator("input[type=checkbox]").first().uncheck();
  await manager.sees("99 structures choisies");
  await manager.leave();
});

async function atTheKeyboard(javaScript) {
  const manager = await newVisitor(browser, portal, { javaScript, reducedMotion: "reduce" });
  manager.page.setDefaultTimeout(documentTakes);
  leaveWithoutRegret(manager);
  await manager.signIn(portal.manager);
  await manager.seesTitle("Activités du gestionnaire");
  return { manager, person: new Keyboard(manager) };
}

/** Waits until the work is done: with scripts the page says so, without them it is asked. */
async function finished(manager, person) {
  const done = manager.page.getByRole("heading", { level: 1, name: "Récapitulatif groupé" });
  for (let tries = 0; tries < 120 && !(await done.isVisible()); tries++) {
    await manager.page.waitForTimeout(500);
    if (manager.javaScript || (await done.isVisible())) continue;
    await person.tabTo("Actualiser l’avancement");
    await person.keys.press("Enter");
    await manager.page.waitForLoadState();
  }
  await done.waitFor();
}

/** Hands the whole batch over; the link. */
async function handedOver(manager, person) {
  await person.tabTo("Remettre à un intégrateur");
  await person.opens("Enter", "Remettre à un intégrateur");
  await person.tabTo("Destinataire");
  await person.keys.type("Zoé Petit, société Exemple");
  await person.tabTo("Créer le lien");
  await person.opens("Enter", "Lien de remise");
  const link = await manager.page.locator("#lien").textContent();
  portal.remember(new URL(link).pathname.split("/").pop());
  return link;
}

/** A page of few accounts before every judge, and its picture. */
async function holds(visitor, name) {
  if (!visitor.javaScript || !name.endsWith("-12")) return;
  await visitor.look(name);
  assert.deepEqual(await judge(visitor.page, await visitor.html()), [], name);
}

/** Opens the link in another browser, then once more. */
async function openedOnce(link, javaScript, count) {
  const integrator = await newVisitor(browser, portal, { javaScript, reducedMotion: "reduce" });
  integrator.page.setDefaultTimeout(documentTakes);
  leaveWithoutRegret(integrator);
  integrator.expectStatus(410);
  await integrator.page.goto(link);
  await holds(integrator, `remise-lot-${count}`);
  await integrator.press("Afficher les informations de connexion");
  await integrator.seesTitle("Informations de connexion");
  await integrator.page.waitForLoadState();
  // Each account is one line until it is opened.
  const { height } = await integrator.page.locator(".folds").boundingBox();
  assert(height < 70 * count, `${height} px`);
  await holds(integrator, `remise-lot-ouverte-${count}`);
  await integrator.page.locator(".folds > .fold > summary").nth(1).click();
  await integrator.page.locator("output[id^=mot-de-passe-]").nth(1).waitFor();
  await holds(integrator, `remise-lot-depliee-${count}`);
  assert.equal(await integrator.page.locator("output[id^=mot-de-passe-]").count(), count);
  await run("qpdf", ["--check", (await download(integrator, "Exporter en PDF")).path]);
  await integrator.page.goto(link);
  await integrator.seesTitle("Ce lien a déjà été ouvert");
  await integrator.leave();
}
