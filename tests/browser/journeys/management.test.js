// What happens to an account after its creation: another manager, suspension, deletion.

import assert from "node:assert/strict";
import { test } from "node:test";

import { newVisitor } from "../support/browser.js";
import {
  acceptStructure,
  confirm,
  createTechnicalUser,
  designateNadia,
  designation,
  exportSheet,
  leaveSummary,
  openStructure,
  searchStructure,
  structureWith,
} from "../support/journey.js";
import { scriptings, withPortal } from "../support/setup.js";

let portal, browser;
withPortal((ready) => ({ portal, browser } = ready));

for (const { javaScript, name, suffix } of scriptings) {
  async function managerWithAccount(label) {
    const visitor = await newVisitor(browser, portal, { javaScript });
    await visitor.signIn(portal.manager);
    const structure = await structureWith(visitor, 0);
    await openStructure(visitor, structure);
    const account = await createTechnicalUser(visitor, label);
    await exportSheet(visitor);
    await leaveSummary(visitor);
    return { visitor, structure, ...account };
  }

  test(`the address and the rights are those of a newly designated manager ${name}`, async () => {
    const { visitor, structure, login, password } = await managerWithAccount("Succession");
    const before = await portal.memberships(login, password);
    await visitor.press(designation);
    await visitor.look(`designation-${suffix}`);
    await designateNadia(visitor);
    await visitor.look(`apres-designation-${suffix}`);

    // Nothing changes until the person accepts.
    assert.equal((await portal.memberships(login, password)).length, before.length);
    const successor = await newVisitor(browser, portal, { javaScript });
    await successor.signIn(portal.secondaryManager);
    await successor.look(`proposition-recue-${suffix}`);
    await acceptStructure(successor);

    // The twelve structures that the new manager is a member of.
    const now = await portal.memberships(login, password);
    assert.equal(now.length, 12);
    assert(before.length > now.length);
    await successor.seesTitle(structure);
    await successor.row("Succession").getByRole("cell", { name: portal.secondaryManager.login }).waitFor();
    await successor.leave();

    // The former manager does not find the structure any more.
    await searchStructure(visitor, structure);
    await visitor.sees(`Aucune structure ne correspond à « ${structure} ».`);
    await visitor.look(`recherche-sans-resultat-${suffix}`);
    await visitor.leave();
  });

  test(`a suspended account is refused until it is reactivated, a deleted one for ever ${name}`, async () => {
    const { visitor, structure, login, password } = await managerWithAccount("Passager");
    await visitor.follow("Passager");
    await confirm(visitor, "Suspendre");
    await visitor.sees("L’utilisateur technique est suspendu.");
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
    // Logins are not reused: the next account has the next number.
    const next = await createTechnicalUser(visitor, "Passager");
    assert.equal(next.login, login.replace("TECH_1_", "TECH_2_"));
    await exportSheet(visitor);
    await leaveSummary(visitor);
    await visitor.sees("Historique");
    await visitor.follow("Voir tout l’historique");
    await visitor.look(`historique-${suffix}`);
    await visitor.leave();
  });

  test(`a structure’s card is edited, and a mistake is said beside its field ${name}`, async () => {
    const visitor = await newVisitor(browser, portal, { javaScript });
    visitor.expectStatus(422);
    await visitor.signIn(portal.managerOfOne);
    // With one structure there is nothing to search: its card is there.
    await visitor.page.getByRole("link", { name: /^Modifier la fiche structure / }).click();
    await visitor.follow("Modifier");
    await visitor.seesTitle("Modifier les informations générales");
    const [name, address] = ["Désignation", "Adresse électronique"].map((label) => visitor.page.getByLabel(label));
    const kept = await name.inputValue();
    await name.fill("");
    await address.fill("pas une adresse");
    await visitor.press("Enregistrer");
    await visitor.sees("Le formulaire comporte 2 erreurs");
    assert.equal(await address.inputValue(), "pas une adresse");
    await visitor.look(`fiche-en-erreur-${suffix}`);
    await name.fill(kept);
    await address.fill("mairie@exemple.fr");
    await visitor.press("Enregistrer");
    await visitor.sees("Les informations générales sont enregistrées.");
    await visitor.leave();
  });
}
