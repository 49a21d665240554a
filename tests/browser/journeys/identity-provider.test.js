// Sign-in with an identity provider, as people see it: against the library that ProConnect runs.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";

import { newVisitor, openBrowser } from "../support/browser.js";
import { confirm, createTechnicalUser, openStructure, passwordOf, readSummary, reset, structureWith } from "../support/journey.js";
import { authenticate, startPortalWithProvider, toProvider } from "../support/provider.js";
import { scriptings } from "../support/setup.js";

let portal, provider, browser;
before(async () => {
  [{ portal, provider }, browser] = await Promise.all([startPortalWithProvider(), openBrowser()]);
});
after(async () => {
  await browser.close();
  await portal.stop();
  await provider.stop();
});

const visit = (options) => newVisitor(browser, portal, { ...options, alsoVisits: provider.url });

/** Leaves « Connexion » for the provider. */
async function leave(visitor) {
  await visitor.page.goto("/connexion");
  await visitor.press(toProvider);
}

async function signIn(visitor, person) {
  await leave(visitor);
  await authenticate(visitor, person.login);
}

const grownStale = () => portal.sql("UPDATE sessions SET authenticated_at = authenticated_at - interval '16 minutes'");

for (const { javaScript, name, suffix } of scriptings) {
  test(`a manager signs in, resets a password after a fresh authentication, and signs out: ${name}`, async () => {
    const visitor = await visit({ javaScript });
    await visitor.page.goto("/connexion");
    await visitor.look(`fournisseur-connexion-${suffix}`);
    await visitor.press(toProvider);
    await authenticate(visitor, portal.manager.login);
    await visitor.seesTitle("Activités du gestionnaire");
    await visitor.page.goto("/mon-compte");
    await visitor.sees("ProConnect a confirmé votre double authentification à la connexion.");
    await visitor.look(`fournisseur-mon-compte-${suffix}`);

    const structure = await structureWith(visitor, "0");
    await openStructure(visitor, structure);
    const { password } = await createTechnicalUser(visitor, "Paie");
    await visitor.press("Retour sur la fiche structure");
    await visitor.page.getByRole("link", { name: /^Ouvrir|^TECH_/ }).first().click();
    await grownStale();
    visitor.expectStatus(403);
    await confirm(visitor, reset);
    await visitor.seesTitle("Confirmez votre identité");
    await visitor.look(`fournisseur-confirmation-${suffix}`);
    await visitor.press(toProvider);
    // The provider has a session of its own, and must ask nevertheless.
    await authenticate(visitor, portal.manager.login);
    await visitor.seesTitle("Identité confirmée");
    await visitor.look(`fournisseur-identite-confirmee-${suffix}`);
    await visitor.press("Poursuivre");
    const renewed = await readSummary(visitor);
    assert.notEqual(renewed.password, password);
    await passwordOf(visitor).waitFor();

    await visitor.page.goto("/mon-compte");
    await visitor.press("Se déconnecter");
    await visitor.seesTitle("Se déconnecter du fournisseur ?");
    await visitor.press("Oui");
    await visitor.sees("Vous êtes déconnecté de Raccord et de votre fournisseur d’identité.");
    await visitor.look(`fournisseur-deconnexion-${suffix}`);
    await leave(visitor);
    await visitor.seesTitle("Fournisseur d’identité");
    await visitor.leave();
  });

  test(`a person without a second factor, and one whom the portal does not know: ${name}`, async () => {
    const visitor = await visit({ javaScript });
    visitor.expectStatus(403);
    await leave(visitor);
    await authenticate(visitor, portal.member.login, "Sans double authentification");
    await visitor.sees("ProConnect n’a pas confirmé de double authentification, que Raccord exige.");
    await visitor.look(`fournisseur-sans-double-authentification-${suffix}`);
    await visitor.leave();

    const stranger = await visit({ javaScript });
    stranger.expectStatus(403);
    await leave(stranger);
    await authenticate(stranger, "inconnue@exemple.fr");
    await stranger.sees("Aucun compte Raccord ouvert ne correspond à votre compte ProConnect.");
    await stranger.look(`fournisseur-inconnu-${suffix}`);
    await stranger.leave();
  });
}

test("a first sign-in is announced by mail, the second one is not", async () => {
  const count = async () => (await portal.mails()).split("compte associé pour la connexion").length - 1;
  const sent = async (wanted) => {
    for (let tries = 0; tries < 100 && (await count()) < wanted; tries++) await sleep(100);
    return count();
  };
  const before = await count();
  for (let times = 0; times < 2; times++) {
    const visitor = await visit();
    await signIn(visitor, portal.managerOfOne);
    await visitor.seesTitle("Activités du gestionnaire");
    await visitor.leave();
  }
  assert.equal(await portal.sql("SELECT count(*) FROM provider_identities i JOIN users u ON u.id = i.user_id WHERE u.login = '" + portal.managerOfOne.login + "'"), "1");
  assert(before <= (await sent(before)));
});

test("a provider that is killed in the middle, one with new keys, and one with another clock", async () => {
  const visitor = await visit();
  visitor.expectStatus(503);
  await leave(visitor);
  await visitor.seesTitle("Fournisseur d’identité");
  await provider.dieAtToken();
  await authenticate(visitor, portal.managerOfOne.login);
  await visitor.sees("ProConnect ne répond pas pour le moment.");
  await visitor.look("fournisseur-absent");
  await provider.exited;
  // People with a password still get in.
  await visitor.follow("Retour à la connexion");
  await visitor.signInHere(portal.managerOfOne);
  await visitor.seesTitle("Activités du gestionnaire");
  await visitor.press("Se déconnecter");

  // The pause between two looks for keys.
  await sleep(10_000);
  for (const offset of [0, 90, -90]) {
    await provider.start(offset);
    await visitor.context.clearCookies();
    await signIn(visitor, portal.managerOfOne);
    await visitor.seesTitle("Activités du gestionnaire");
    if (offset !== -90) {
      await provider.stop();
      await sleep(10_000);
    }
  }
  await visitor.leave();
});
