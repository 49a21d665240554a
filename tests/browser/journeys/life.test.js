// Members who come, change and leave, and passwords that are replaced without an interruption.

import assert from "node:assert/strict";
import { test } from "node:test";

import { newVisitor } from "../support/browser.js";
import {
  confirmationOf,
  createTechnicalUser,
  acceptStructure,
  designateNadia,
  designation,
  exportSheet,
  leaveSummary,
  managersTab,
  openStructure,
  readSummary,
  requestKept,
  requestMembership,
  reset,
  structureWith,
} from "../support/journey.js";
import { scriptings, withPortal } from "../support/setup.js";

let portal, browser;
withPortal((ready) => ({ portal, browser } = ready));

/** The mail to `address` that has `text`, once it is sent, without soft line breaks. */
async function mailTo(address, text) {
  for (let tries = 0; tries < 100; tries++) {
    const letters = (await portal.mails()).split(/(?=^From: )/m).map((letter) => letter.replaceAll("=\r\n", "").replaceAll("=3D", "="));
    const found = letters.find((letter) => letter.includes(`To: ${address}`) && letter.includes(text));
    if (found) return found;
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  assert.fail(`no mail to ${address} has « ${text} »`);
}

/** The path of the mailed link to choose a password. */
async function linkMailedTo(address) {
  return (await mailTo(address, "/invitation/")).match(/\/invitation\/[\w-]{43}/)[0];
}

for (const { javaScript, name, suffix } of scriptings) {
  test(`a forgotten password is replaced by a mailed link ${name}`, async () => {
    const visitor = await newVisitor(browser, portal, { javaScript });
    const { page } = visitor;
    const person = javaScript ? portal.member : portal.managerOfOne;
    await page.goto("/connexion");
    await visitor.follow("Mot de passe oublié");
    await visitor.seesTitle("Mot de passe oublié");
    await visitor.look(`oublie-${suffix}-1`);
    await page.getByLabel("Identifiant de connexion ou adresse de contact").fill(person.login);
    await visitor.press("Recevoir un lien");
    await visitor.sees(requestKept);
    await visitor.look(`oublie-${suffix}-2`);
    const link = await linkMailedTo(person.login);
    await page.goto(link);
    const field = page.getByLabel("Nouveau mot de passe");
    if (javaScript) {
      for (const [typed, advice] of [["court", "Encore 10\u00a0caractères au moins."], ["aaaaaaaaaaaaaaaa", "Facile à deviner"], ["un chat sur le radiateur", "Bonne solidité."]]) {
        await field.fill(typed);
        await visitor.sees(advice);
      }
      await visitor.look(`oublie-${suffix}-3`);
    }
    await field.fill(`neuf barques sur le lac ${suffix}`);
    await visitor.press("Enregistrer le mot de passe");
    await visitor.sees("Votre mot de passe est enregistré.");
    person.password = `neuf barques sur le lac ${suffix}`;
    await visitor.signIn(person);
    await visitor.sees("Se déconnecter");
    await visitor.leave();
  });

  /**
   * A new person opens the link in a browser of their own, chooses a password, and finds the
   * structure.
   */
  async function acceptInvitation(link, person, structure) {
    const guest = await newVisitor(browser, portal, { javaScript });
    guest.expectStatus(404, 410);
    await guest.page.goto(link);
    await guest.page.getByLabel("Nouveau mot de passe").fill(person.password);
    await guest.press("Enregistrer le mot de passe");
    await guest.sees("Votre mot de passe est enregistré.");
    await guest.signIn(person);
    await guest.seesTitle("Mon compte");
    await guest.row(structure).getByRole("cell", { name: "Utilisateur", exact: true }).waitFor();
    assert.equal(await guest.page.getByRole("link", { name: managersTab }).count(), 0);
    // The link works once.
    await guest.press("Se déconnecter");
    await guest.page.goto(link);
    assert.equal(await guest.page.getByLabel("Nouveau mot de passe").count(), 0);
    await guest.leave();
  }

  test(`a member is invited, changed and removed ${name}`, async () => {
    const visitor = await newVisitor(browser, portal, { javaScript });
    const { page } = visitor;
    visitor.expectStatus(422);
    await visitor.signIn(portal.manager);
    const structure = await structureWith(visitor, 0);
    await openStructure(visitor, structure);
    await visitor.follow("Inviter un membre");
    await visitor.seesTitle("Inviter un membre");
    await visitor.press("Inviter");
    await visitor.sees("Le formulaire comporte 4 erreurs");
    await visitor.look(`invitation-en-erreur-${suffix}`);
    const address = `lou.petit.${suffix}@exemple.fr`;
    await page.getByLabel("Adresse électronique").fill(address);
    await page.getByLabel("Prénom").fill("Lou");
    await page.getByLabel("Nom", { exact: true }).fill("Petit");
    await page.getByLabel("Utilisateur", { exact: true }).check();
    await visitor.look(`invitation-${suffix}`);
    await visitor.press("Inviter");
    await visitor.sees("La personne est rattachée à la structure.");
    await visitor.look(`fiche-avec-membres-${suffix}`);
    const link = await linkMailedTo(address);
    await acceptInvitation(link, { login: address, password: `onze hérons au bord de l’eau ${suffix}` }, structure);

    // Until then the row shows only what was typed.
    await page.reload();
    const row = () => visitor.row("Lou Petit");
    await visitor.press("Modifier le rôle", row());
    await visitor.sees("Le nouveau rôle figurera immédiatement sur la fiche structure");
    await visitor.look(`role-${suffix}`);
    await confirmationOf(visitor).getByLabel("Gestionnaire secondaire").check();
    await visitor.press("Confirmer", confirmationOf(visitor));
    await visitor.sees("Le rôle est modifié");
    await row().getByRole("cell", { name: "Gestionnaire secondaire" }).waitFor();

    await visitor.press("Retirer", row());
    await visitor.sees(/^Vous allez retirer Lou Petit de la structure/);
    await visitor.look(`retrait-${suffix}`);
    await visitor.press("Confirmer", confirmationOf(visitor));
    await visitor.sees("La personne n’est plus rattachée à la structure.");
    assert.equal(await row().count(), 0);
    await visitor.leave();
  });

  test(`who asks to be attached is let in by the manager ${name}`, async () => {
    const manager = await newVisitor(browser, portal, { javaScript });
    await manager.signIn(portal.manager);
    const structure = await structureWith(manager, 0);
    await openStructure(manager, structure);
    const identifier = await manager.fact("Identifiant").innerText();

    const asker = await newVisitor(browser, portal, { javaScript });
    asker.expectStatus(422);
    await asker.signIn(portal.managerOfOne);
    await asker.follow("Mon compte");
    await asker.follow("Demander un rattachement");
    await requestMembership(asker, "123");
    await asker.sees("Un SIRET a 14 chiffres.");
    await requestMembership(asker, identifier);
    await asker.sees(requestKept);
    await asker.look(`demande-${suffix}`);

    await manager.follow(managersTab);
    const request = manager.page.getByRole("row").filter({ hasText: portal.managerOfOne.login });
    await request.waitFor();
    await manager.look(`demandes-de-rattachement-${suffix}`);
    await manager.page.setViewportSize({ width: 320, height: 900 });
    await manager.fitsItsWidth("the requests at 320 px");
    await manager.look(`demandes-de-rattachement-${suffix}-320`);
    await manager.page.setViewportSize({ width: 1280, height: 900 });
    await request.getByRole("combobox").selectOption({ label: "Gestionnaire secondaire" });
    await manager.press("Valider", request);
    await manager.sees("La demande est validée");
    assert.equal(await request.count(), 0);
    await asker.follow("Mon compte");
    await asker.row(structure).getByRole("cell", { name: "Gestionnaire secondaire" }).waitFor();
    await manager.leave();
    await asker.leave();
  });

  test(`who asks to be attached may be refused, and is told ${name}`, async () => {
    const manager = await newVisitor(browser, portal, { javaScript });
    await manager.signIn(portal.manager);
    // A structure that the person is not a member of, whatever was done before.
    const found = await portal.sql(
      `SELECT designation || '|' || identifier FROM structures s JOIN users u ON u.id = s.principal_manager_id WHERE u.login = '${portal.manager.login}'
          AND NOT EXISTS (SELECT FROM memberships m JOIN users a ON a.id = m.user_id WHERE m.structure_id = s.id AND a.login = '${portal.managerOfOne.login}')
        ORDER BY s.id DESC LIMIT 1`,
    );
    const [structure, identifier] = found.split("|");
    const asker = await newVisitor(browser, portal, { javaScript });
    await asker.signIn(portal.managerOfOne);
    await asker.page.goto("/mon-compte/demandes-de-rattachement");
    await requestMembership(asker, identifier);
    await asker.sees(requestKept);

    await manager.follow(managersTab);
    const request = manager.page.getByRole("row").filter({ hasText: portal.managerOfOne.login });
    await manager.press("Refuser", request);
    await manager.sees("La demande est refusée");
    assert.equal(await request.count(), 0);
    await mailTo(portal.managerOfOne.login, "refus");
    await asker.page.goto("/mon-compte");
    assert.equal(await asker.row(structure).count(), 0);
    await manager.leave();
    await asker.leave();
  });

  test(`a password is replaced without an interruption ${name}`, async () => {
    const visitor = await newVisitor(browser, portal, { javaScript });
    await visitor.signIn(portal.manager);
    const structure = await structureWith(visitor, 0);
    await openStructure(visitor, structure);
    const { login, password } = await createTechnicalUser(visitor, "Paie");
    await exportSheet(visitor);
    await leaveSummary(visitor);
    await visitor.follow("Paie");
    const works = async (...passwords) => Promise.all(passwords.map(async (shown) => (await portal.healthCheck(login, shown)).status));
    const keep = async (choice) => {
      await visitor.press(reset);
      await visitor.look(`reinitialisation-${suffix}`);
      await confirmationOf(visitor).getByLabel(choice).check();
      await visitor.press("Confirmer", confirmationOf(visitor));
      const renewed = await readSummary(visitor);
      await visitor.sees("L’ancien mot de passe fonctionne encore jusqu’au");
      await exportSheet(visitor);
      await visitor.follow("Utilisateur technique");
      return renewed.password;
    };

    const second = await keep("Garder l’ancien mot de passe pendant 24 heures");
    assert.deepEqual(await works(password, second), [200, 200]);
    await visitor.fact("Ancien mot de passe").getByText("Fonctionne encore jusqu’au").waitFor();
    await visitor.look(`ancien-mot-de-passe-${suffix}`);

    // A further reset ends the oldest of the three.
    const third = await keep("Garder l’ancien mot de passe pendant 72 heures");
    assert.deepEqual(await works(password, second, third), [401, 200, 200]);

    await visitor.press("Supprimer l’ancien mot de passe maintenant");
    await visitor.sees("Les logiciels qui l’utilisent encore ne pourront plus se connecter.");
    await visitor.look(`fin-de-l-ancien-${suffix}`);
    await visitor.press("Confirmer", confirmationOf(visitor));
    await visitor.sees("L’ancien mot de passe est supprimé");
    assert.deepEqual(await works(second, third), [401, 200]);
    assert.equal(await visitor.page.getByRole("button", { name: "Supprimer l’ancien mot de passe maintenant" }).count(), 0);

    // After a succession, the passwords that were shown are known to a former manager.
    await visitor.follow("Retour sur la fiche structure");
    await visitor.press(designation);
    await designateNadia(visitor);
    await visitor.leave();
    const successor = await newVisitor(browser, portal, { javaScript });
    await successor.signIn(portal.secondaryManager);
    await acceptStructure(successor);
    await successor.row("Paie").getByText("Connu d’un ancien gestionnaire").waitFor();
    await successor.look(`connu-fiche-${suffix}`);
    for (const width of [1280, 1000, 320]) {
      await successor.page.setViewportSize({ width, height: 900 });
      await successor.fitsItsWidth(`the structure’s page at ${width} px`);
      if (width < 1280) await successor.look(`connu-fiche-${suffix}-${width}`);
    }
    await successor.page.setViewportSize({ width: 1280, height: 900 });
    await successor.follow("Paie");
    await successor.fact("Confidentialité").getByText("Connu d’un ancien gestionnaire").waitFor();
    await successor.look(`connu-${suffix}`);
    await mailTo(portal.secondaryManager.login, login);
    await successor.leave();
  });
}
