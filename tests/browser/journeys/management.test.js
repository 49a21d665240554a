// What happens to an account after its creation: another manager, suspension, deletion.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";

import { newVisitor, openBrowser } from "../support/browser.js";
import { confirm, createTechnicalUser, exportSheet, openStructure, structureWith } from "../support/journey.js";
import { startPortal } from "../support/portal.js";

let portal, browser;
before(async () => ([portal, browser] = await Promise.all([startPortal(), openBrowser()])));
after(async () => {
  await browser.close();
  await portal.stop();
});

for (const javaScript of [true, false]) {
  const name = javaScript ? "with scripts" : "without scripts";
  const suffix = name.replace(" ", "-");

  async function managerWithAccount(label) {
    const visitor = await newVisitor(browser, portal, { javaScript });
    await visitor.signIn(portal.manager);
    const structure = await structureWith(visitor, 0);
    await openStructure(visitor, structure);
    const account = await createTechnicalUser(visitor, label);
    await exportSheet(visitor);
    await visitor.press("Retour sur la fiche structure");
    return { visitor, structure, ...account };
  }

  test(`the address and the rights are those of a newly designated manager ${name}`, async () => {
    const { visitor, structure, login, password } = await managerWithAccount("Succession");
    const before = await portal.memberships(login, password);
    const opener = "Désigner un nouveau gestionnaire principal";
    await visitor.press(opener);
    const form = javaScript ? visitor.page.getByRole("dialog", { name: opener }) : visitor.page.getByRole("main");
    await visitor.look(`designation-${suffix}`);
    await form.getByLabel("Nouveau gestionnaire principal").selectOption({ label: "Nadia Benali (Gestionnaire secondaire)" });
    await visitor.press("Confirmer", form);
    await visitor.sees("Le nouveau gestionnaire principal est désigné.");
    await visitor.look(`apres-designation-${suffix}`);

    // Hers are the twelve structures that she is a member of.
    const now = await portal.memberships(login, password);
    assert.equal(now.length, 12);
    assert(before.length > now.length);
    const successor = await newVisitor(browser, portal, { javaScript });
    await successor.signIn(portal.secondaryManager);
    await openStructure(successor, structure);
    await successor.row("Succession").getByRole("cell", { name: portal.secondaryManager.login }).waitFor();
    await successor.leave();

    // And the former manager is a stranger to the structure.
    await visitor.follow("Activités du gestionnaire");
    await visitor.page.getByLabel("Rechercher une structure").fill(structure);
    await visitor.press("Rechercher");
    await visitor.sees(`Aucune structure ne correspond à « ${structure} ».`);
    await visitor.look(`recherche-sans-resultat-${suffix}`);
    await visitor.leave();
  });

  test(`a suspended account is refused until it is reactivated, a deleted one for ever ${name}`, async () => {
    const { visitor, structure, login, password } = await managerWithAccount("Passager");
    await visitor.follow("Passager");
    await confirm(visitor, "Suspendre");
    await visitor.sees("Le compte est suspendu : il ne peut plus se connecter à l’API.");
    await visitor.look(`suspendu-${suffix}`);
    assert.equal((await portal.healthCheck(login, password)).status, 401);
    await confirm(visitor, "Réactiver");
    await visitor.sees("Le compte est réactivé : il peut de nouveau se connecter à l’API.");
    assert.equal((await portal.healthCheck(login, password)).status, 200);
    await confirm(visitor, "Supprimer");
    await visitor.sees("L’utilisateur technique est supprimé.");
    await visitor.seesTitle(structure);
    assert.equal(await visitor.row("Passager").count(), 0);
    assert.equal((await portal.healthCheck(login, password)).status, 401);
    // Its login is nobody's any more: the next account has the next number.
    const next = await createTechnicalUser(visitor, "Passager");
    assert.equal(next.login, login.replace("TECH_1_", "TECH_2_"));
    await exportSheet(visitor);
    await visitor.press("Retour sur la fiche structure");
    await visitor.sees("Historique");
    await visitor.follow("Voir tout l’historique");
    await visitor.look(`historique-${suffix}`);
    await visitor.leave();
  });

  test(`a structure’s card is edited, and a mistake is said beside its field ${name}`, async () => {
    const visitor = await newVisitor(browser, portal, { javaScript });
    visitor.expectStatus(422);
    await visitor.signIn(portal.managerOfOne);
    await visitor.follow(`Modifier la fiche structure ${await structureWith(visitor, 0)}`);
    const designation = visitor.page.getByLabel("Désignation");
    const kept = await designation.inputValue();
    await designation.fill("");
    await visitor.page.getByLabel("Adresse électronique").fill("pas une adresse");
    await visitor.press("Enregistrer");
    await visitor.sees("Le formulaire comporte 2 erreurs");
    assert.equal(await visitor.page.getByLabel("Adresse électronique").inputValue(), "pas une adresse");
    await visitor.look(`fiche-en-erreur-${suffix}`);
    await designation.fill(kept);
    await visitor.page.getByLabel("Adresse électronique").fill("mairie@exemple.fr");
    await visitor.press("Enregistrer");
    await visitor.sees("Les informations générales sont enregistrées.");
    await visitor.leave();
  });
}
