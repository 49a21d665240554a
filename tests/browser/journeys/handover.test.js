// A password goes to an integrator by a link that opens once, by the keyboard alone.

import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { test } from "node:test";

import { newVisitor } from "../support/browser.js";
import { download, leaveWithoutRegret, reset } from "../support/journey.js";
import { Keyboard } from "../support/keyboard.js";
import { scriptings, withPortal } from "../support/setup.js";

let portal, browser;
withPortal((ready) => ({ portal, browser } = ready));

const recipient = "Zoé Petit, société Exemple";
const show = "Afficher les informations de connexion";

for (const { javaScript, name } of scriptings) {
  test(`an account is created, handed over without a display and opened once, ${name}`, async () => {
    const manager = await newVisitor(browser, portal, { javaScript, reducedMotion: "reduce" });
    leaveWithoutRegret(manager);
    const person = new Keyboard(manager);
    await manager.signIn(portal.manager);
    await manager.page.goto(`/structures/${await emptyStructure()}/utilisateurs-techniques/nouveau`);
    await person.tabTo("Libellé");
    await person.keys.type("Logiciel de paie");
    await person.tabTo("Afficher le mot de passe");
    await person.keys.press("ArrowDown");
    await person.hasFocus("Le remettre à un intégrateur, sans l’afficher");
    await person.tabTo("Créer l’utilisateur technique");
    await person.opens("Enter", "Remettre à un intégrateur");

    await person.tabTo("Destinataire");
    await person.keys.type(recipient);
    await person.tabTo("Demander aussi un code, que je dirai par téléphone");
    await person.keys.press("Space");
    await person.tabTo("Créer le lien");
    await person.opens("Enter", "Lien de remise");
    const [link, code] = await Promise.all(["#lien", "#code"].map((id) => manager.page.locator(id).textContent()));
    for (const secret of [new URL(link).pathname.split("/").pop(), code]) portal.remember(secret);
    assert.match(code, /^[a-z]+( [a-z]+){3}$/);
    assert(!(await manager.html()).includes("rcd_"), "the manager never saw the password");

    const { login, password } = await openedByIntegrator(link, code, javaScript);
    assert.equal((await portal.healthCheck(login, password)).status, 200);

    // The manager reads when and from where it was opened, and that it was presented again.
    await person.tabTo("utilisateur technique");
    await person.opens("Enter", "Logiciel de paie");
    await manager.sees("ouvert le");
    await manager.sees("Une personne a suivi de nouveau le lien de remise");
    await person.tabTo(reset);
    await manager.leave();
  });
}

/** What another person does with the link, in a browser of their own; what they read. */
async function openedByIntegrator(link, code, javaScript) {
  const integrator = await newVisitor(browser, portal, { javaScript, reducedMotion: "reduce" });
  leaveWithoutRegret(integrator);
  integrator.expectStatus(410, 422);
  const person = new Keyboard(integrator);
  await integrator.page.goto(link);
  await integrator.sees("Claire Fontaine");
  await integrator.sees("Logiciel de paie");
  await person.tabTo("Code");
  await person.keys.type("pas le bon code");
  await person.keys.press("Enter");
  await integrator.sees("Cet essai n’a pas été compté.");
  await person.tabTo("Code");
  await person.keys.type(code.toUpperCase());
  await person.tabTo(show);
  await person.opens("Enter", "Informations de connexion");
  const [login, password] = await Promise.all(
    ["[id^=identifiant-de-connexion-]", "output[id^=mot-de-passe-]"].map((id) => integrator.page.locator(id).textContent()),
  );
  portal.remember(password);
  const csv = await download(integrator, "Exporter en CSV");
  assert((await readFile(csv.path, "utf8")).includes(`;${password};`));
  assert.match((await download(integrator, "Exporter en PDF")).name, /^raccord-TECH_1_\w+@cpro\.fr\.pdf$/);

  // Another tab, and another person: neither sees it again.
  await integrator.page.goto(link);
  await integrator.seesTitle("Ce lien a déjà été ouvert");
  await person.tabTo("Prévenir Claire Fontaine");
  await person.keys.press("Enter");
  await integrator.sees("Un courriel avertit Claire Fontaine");
  assert(!(await integrator.html()).includes(password));
  await integrator.leave();
  return { login, password };
}

/** The number of a structure of the manager without technical users. */
function emptyStructure() {
  return portal.sql(`
    SELECT s.id FROM structures s JOIN users u ON u.id = s.principal_manager_id
     WHERE u.login = '${portal.manager.login}' AND s.active AND NOT EXISTS (SELECT FROM technical_users t WHERE t.structure_id = s.id)
     ORDER BY s.id LIMIT 1`);
}
