// The history of a structure: filtered, read page by page, exported.

import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { test } from "node:test";

import { newVisitor } from "../support/browser.js";
import { createTechnicalUser, download, exportSheet, leaveSummary, openStructure, structureWith } from "../support/journey.js";
import { scriptings, withPortal } from "../support/setup.js";

let portal, browser;
withPortal((ready) => ({ portal, browser } = ready));

for (const { javaScript, name, suffix } of scriptings) {
  test(`a history is narrowed, read to its end and exported ${name}`, async () => {
    const visitor = await newVisitor(browser, portal, { javaScript });
    const { page } = visitor;
    visitor.expectStatus(422);
    const field = (label) => page.getByLabel(label, { exact: true });
    const acts = () => page.locator("tbody tr td[data-label='Opération']").allInnerTexts();
    await visitor.signIn(portal.manager);
    const structure = await structureWith(visitor, 0);
    await openStructure(visitor, structure);
    const id = page.url().split("/").at(-1);
    const { login } = await createTechnicalUser(visitor, "Paie");
    await exportSheet(visitor);
    await leaveSummary(visitor);
    // Two months of events.
    await portal.sql(`INSERT INTO audit_events (at, actor, address, action, structure_id, subject, detail)
                      SELECT timestamptz '2025-03-01 12:00Z' + make_interval(days => n), 'ancien@exemple.fr', '192.0.2.1', 'STRUCTURE_EDITED',
                             ${id}, '', '=jour ' || n FROM generate_series(0, 60) n`);

    await visitor.follow("Voir tout l’historique");
    await visitor.seesTitle("Historique");
    assert.equal((await acts()).length, 50);
    await visitor.follow("Plus anciennes");
    await visitor.sees("Plus récentes");
    assert.equal(await page.getByRole("link", { name: "Plus anciennes" }).count(), 0);
    assert.match((await acts()).at(-1), /=jour 0$/);
    await visitor.follow("Plus récentes");
    await visitor.sees("Export des informations de connexion");

    // A date that does not exist is refused beside its field, and the other fields are kept.
    await field("Opération").selectOption({ label: "Modification de la fiche structure" });
    await field("Du").fill("31/03/2025");
    await field("Au").fill("31/04/2025");
    await field("Personne").fill("Ancien@exemple.fr");
    await visitor.press("Rechercher");
    await visitor.sees("Le formulaire comporte 1 erreur");
    await visitor.look(`historique-en-erreur-${suffix}`);
    assert.deepEqual(await Promise.all(["Du", "Au", "Personne"].map((label) => field(label).inputValue())), ["31/03/2025", "31/04/2025", "Ancien@exemple.fr"]);
    assert.equal(await field("Opération").inputValue(), "STRUCTURE_EDITED");
    assert.equal(await field("Au").getAttribute("aria-invalid"), "true");

    await field("Au").fill("2/04/2025");
    await visitor.press("Rechercher");
    await visitor.sees("3 opérations");
    assert.deepEqual((await acts()).map((act) => act.split("=")[1]), ["jour 32", "jour 31", "jour 30"]);
    await visitor.look(`historique-criteres-${suffix}`);
    const file = await download(visitor, "Exporter (CSV)");
    const lines = (await readFile(file.path, "utf8")).trim().split("\n");
    assert.equal(lines.length, 4);
    assert.match(lines[1], /^2025-04-02 14:00:00;Modification de la fiche structure;;'=jour 32;ancien@exemple\.fr;/);

    await field("Utilisateur technique").fill(login);
    await visitor.press("Rechercher");
    await visitor.sees("Aucune opération ne correspond à ces critères.");
    await visitor.look(`historique-sans-resultat-${suffix}`);
    await visitor.follow("Afficher tout l’historique");
    assert.equal(await field("Personne").inputValue(), "");

    // From the account's page, what happened to the account.
    await visitor.follow(structure);
    await visitor.follow("Paie");
    await visitor.follow("Voir tout l’historique de ce compte");
    assert.equal(await field("Utilisateur technique").inputValue(), login);
    assert.deepEqual((await acts()).map((act) => act.split("\n")[0]), ["Export des informations de connexion", "Affichage du mot de passe", "Création d’un utilisateur technique"]);
    await page.setViewportSize({ width: 320, height: 640 });
    await visitor.fitsItsWidth("the history at 320 px");
    await visitor.look(`historique-compte-${suffix}-320`);
    await visitor.leave();
  });
}
