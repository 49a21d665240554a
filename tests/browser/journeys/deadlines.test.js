// The list of all technical users of a manager of 300 structures, and the passwords to be renewed.

import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { test } from "node:test";

import { newVisitor } from "../support/browser.js";
import { download } from "../support/journey.js";
import { scriptings, withPortal } from "../support/setup.js";

let portal, browser;
withPortal((ready) => ({ portal, browser } = ready));

for (const { javaScript, name, suffix } of scriptings) {
  const picture = (visitor, what) => visitor.look(`echeances-${suffix}-${what}`);

  test(`what is to be renewed is found, filtered and exported ${name}`, async () => {
    const visitor = await newVisitor(browser, portal, { javaScript });
    const { page } = visitor;
    await visitor.signIn(portal.manager);
    await page.getByLabel("Échéance", { exact: true }).selectOption("À renouveler sous 60 jours");
    await page.getByLabel("Trier par").selectOption("Prochaine échéance");
    await visitor.press("Rechercher");
    await visitor.sees("Afficher toutes mes structures");
    await picture(visitor, "structures");
    await visitor.follow("Utilisateurs techniques");
    await visitor.seesTitle("Utilisateurs techniques");
    const all = await page.locator("tbody tr").count();
    await picture(visitor, "tous");
    await page.getByLabel("Statut", { exact: true }).selectOption("Expirés");
    await visitor.press("Rechercher");
    await visitor.sees("Afficher tous les utilisateurs techniques");
    const expired = await page.locator("tbody tr").count();
    assert(expired > 0 && expired < all, `${expired} of ${all}`);
    await picture(visitor, "expires");
    const file = await download(visitor, "Exporter (CSV)");
    assert.equal(file.name, "utilisateurs-techniques.csv");
    const csv = await readFile(file.path, "utf8");
    assert.equal(csv.trim().split("\n").length, expired + 1);
    await page.getByLabel("Rechercher un utilisateur technique").fill("n’existe pas");
    await visitor.press("Rechercher");
    await visitor.sees("Aucun utilisateur technique ne correspond à cette recherche.");
    await picture(visitor, "aucun");
    await visitor.leave();
  });

  test(`all accounts are searched, sorted, paged and exported ${name}`, async () => {
    // One account in each of 120 structures.
    await portal.sql(`
      WITH made AS (
        INSERT INTO technical_users (structure_id, number, login, label, created_by, password_hash, password_set_by, expires_at)
        SELECT s.id, 1, 'TECH_1_' || s.identifier || '@cpro.fr', 'Progiciel ' || s.id, u.id,
               (SELECT password_hash FROM technical_users ORDER BY id LIMIT 1), u.id, now() + interval '200 days'
          FROM structures s JOIN users u ON u.id = s.principal_manager_id
         WHERE u.login = '${portal.manager.login}' AND NOT EXISTS (SELECT FROM technical_users t WHERE t.structure_id = s.id)
           AND NOT EXISTS (SELECT FROM technical_users t WHERE t.label LIKE 'Progiciel %')
         ORDER BY s.id LIMIT 120 RETURNING structure_id)
      UPDATE structures SET next_technical_number = 2 WHERE id IN (SELECT structure_id FROM made)`);
    const visitor = await newVisitor(browser, portal, { javaScript });
    const { page } = visitor;
    await visitor.signIn(portal.manager);
    await visitor.follow("Utilisateurs techniques");
    await page.getByLabel("Rechercher un utilisateur technique").fill("PROGICIEL");
    await page.getByLabel("Statut", { exact: true }).selectOption("Actifs");
    await page.getByLabel("Trier par").selectOption("Nom de la structure");
    await visitor.press("Rechercher");
    await visitor.sees(/^120 utilisateurs techniques .* page 1 sur 3$/);
    const names = () => page.locator("tbody td[data-label='Structure']").allInnerTexts();
    const seen = await names();
    for (const expected of [50, 20]) {
      await visitor.follow("Page suivante");
      await visitor.sees(expected === 50 ? "page 2 sur 3" : "page 3 sur 3");
      assert.equal(await page.getByLabel("Rechercher un utilisateur technique").inputValue(), "PROGICIEL");
      assert.equal((await names()).length, expected);
      seen.push(...(await names()));
    }
    const plain = (text) => text.normalize("NFD").replace(/\p{M}/gu, "").toLowerCase().replace(/[-_'’.,()/]/g, " ").replace(/ +/g, " ");
    assert.deepEqual(seen.map(plain), seen.map(plain).sort());
    const file = await download(visitor, "Exporter (CSV)");
    assert.equal((await readFile(file.path, "utf8")).trim().split("\n").length, 121);
    await page.getByLabel("Statut", { exact: true }).selectOption("Connus d’un ancien gestionnaire");
    await visitor.press("Rechercher");
    await visitor.sees("Aucun utilisateur technique ne correspond à cette recherche.");
    await visitor.leave();
  });

  test(`an agenda subscribes to the deadlines ${name}`, async () => {
    const visitor = await newVisitor(browser, portal, { javaScript });
    const { page } = visitor;
    await visitor.signIn(portal.manager);
    await visitor.follow("Calendrier des échéances");
    await visitor.seesTitle("Calendrier des échéances");
    await picture(visitor, "calendrier");
    await visitor.sees("Prochaines échéances");
    await visitor.press("Créer un lien d’abonnement");
    const link = await page.getByLabel("Lien d’abonnement").inputValue();
    await picture(visitor, "lien");
    if (javaScript) {
      await visitor.context.grantPermissions(["clipboard-read", "clipboard-write"]);
      await visitor.press("Copier le lien");
      await visitor.sees("Lien copié.");
      assert.equal(await page.evaluate(() => navigator.clipboard.readText()), link);
    }
    const calendar = await (await fetch(link)).text();
    assert(calendar.startsWith("BEGIN:VCALENDAR\r\n"));
    assert(calendar.split("BEGIN:VEVENT").length > 3);
    const file = await download(visitor, "Télécharger les échéances (.ics)");
    // Each was made at its own moment.
    const [downloaded, subscribed] = [await readFile(file.path, "utf8"), calendar].map((text) => text.replace(/DTSTAMP:\w+/g, ""));
    assert.equal(downloaded, subscribed);
    portal.remember(link.split("/").pop());
    await visitor.press("Révoquer le lien");
    await visitor.sees("Le lien d’abonnement est révoqué");
    assert.equal((await fetch(link)).status, 404);
    await visitor.leave();
  });
}
