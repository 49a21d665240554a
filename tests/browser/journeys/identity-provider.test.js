// Sign-in with an identity provider, as people see it: against the library that ProConnect runs.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";

import { newVisitor, openBrowser } from "../support/browser.js";
import { judge, mainButton } from "../support/judges.js";
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

const visit = (options) => newVisitor(browser, portal, { reducedMotion: "reduce", ...options, alsoVisits: provider.url });

/** Leaves « Connexion » for the provider. */
async function leave(visitor) {
  await visitor.page.goto("/connexion");
  await visitor.press(toProvider);
}

async function signIn(visitor, person) {
  await leave(visitor);
  await authenticate(visitor, person.login);
}

/** The page before every judge, and its picture. */
async function holds(visitor, name) {
  await visitor.look(name);
  if (!visitor.javaScript) return;
  assert.deepEqual(await judge(visitor.page, await visitor.html()), [], name);
  assert.deepEqual(await mainButton(visitor.page), [], name);
}

const grownStale = () => portal.sql("UPDATE sessions SET authenticated_at = authenticated_at - interval '16 minutes'");

for (const { javaScript, name, suffix } of scriptings) {
  test(`a manager signs in, resets a password after a fresh authentication, and signs out: ${name}`, async () => {
    const visitor = await visit({ javaScript });
    await visitor.page.goto("/connexion");
    await holds(visitor, `fournisseur-connexion-${suffix}`);
    await visitor.press(toProvider);
    await authenticate(visitor, portal.manager.login);
    await visitor.seesTitle("Activités du gestionnaire");
    await visitor.page.goto("/mon-compte");
    await visitor.sees("ProConnect a confirmé votre double authentification à la connexion.");
    await holds(visitor, `fournisseur-mon-compte-${suffix}`);

    const structure = await structureWith(visitor, "0");
    await openStructure(visitor, structure);
    const { password } = await createTechnicalUser(visitor, "Paie");
    await visitor.press("Retour sur la fiche structure");
    await visitor.follow("Paie");
    await grownStale();
    visitor.expectStatus(403);
    await confirm(visitor, reset);
    await visitor.seesTitle("Confirmez votre identité");
    await holds(visitor, `fournisseur-confirmation-${suffix}`);
    await visitor.press(toProvider);
    // The provider has a session of its own, and must ask nevertheless.
    await authenticate(visitor, portal.manager.login);
    await visitor.seesTitle("Identité confirmée");
    await holds(visitor, `fournisseur-identite-confirmee-${suffix}`);
    await visitor.press("Poursuivre");
    const renewed = await readSummary(visitor);
    assert.notEqual(renewed.password, password);
    await passwordOf(visitor).waitFor();

    await visitor.page.goto("/mon-compte");
    await visitor.press("Se déconnecter");
    await visitor.seesTitle("Se déconnecter du fournisseur ?");
    await visitor.press("Oui");
    await visitor.sees("Vous êtes déconnecté de Raccord et de votre fournisseur d’identité.");
    await holds(visitor, `fournisseur-deconnexion-${suffix}`);
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
    await holds(visitor, `fournisseur-sans-double-authentification-${suffix}`);
    await visitor.leave();

    const stranger = await visit({ javaScript });
    stranger.expectStatus(403);
    await leave(stranger);
    await authenticate(stranger, "inconnue@exemple.fr");
    await stranger.sees("Aucun compte Raccord ouvert ne correspond à votre compte ProConnect.");
    await holds(stranger, `fournisseur-inconnu-${suffix}`);
    await stranger.leave();
  });
}

/** Keeps the browser on the page that would lead it on to the provider. */
const stay = ({ page }) => page.route(`${provider.url}/**`, (route) => route.fulfill({ status: 204 }));
const goOn = ({ page }) => page.unroute(`${provider.url}/**`);

test("pages on the way to the provider and back, and what one's own page says", async () => {
  const visitor = await visit();
  visitor.expectStatus(400, 403, 422);
  await visitor.page.goto("/connexion/fournisseur/retour?state=perime&code=perime");
  await visitor.sees("Cette identification a expiré, a déjà servi ou a commencé dans un autre navigateur.");
  await holds(visitor, "fournisseur-retour-perime");
  await stay(visitor);
  await leave(visitor);
  await visitor.seesTitle("Vers ProConnect");
  await holds(visitor, "fournisseur-depart");
  await goOn(visitor);
  await visitor.follow("Continuer vers ProConnect");
  await authenticate(visitor, portal.managerOfOne.login);
  await visitor.seesTitle("Activités du gestionnaire");
  await visitor.page.goto("/mon-compte");
  await visitor.press("Associer un autre compte ProConnect");
  await authenticate(visitor, "une.autre.adresse@exemple.fr");
  await visitor.sees("Le compte est associé : vous pouvez vous en servir pour vous connecter.");
  await holds(visitor, "fournisseur-compte-associe");
  await visitor.page.getByRole("button", { name: "Dissocier ce compte" }).last().click();
  await visitor.sees("Le compte n’est plus associé.");
  await portal.sql(`UPDATE users SET password_hash = NULL WHERE login = '${portal.managerOfOne.login}'`);
  await visitor.press("Dissocier ce compte");
  await visitor.sees("Sans ce compte, vous ne pourriez plus vous connecter.");
  await holds(visitor, "fournisseur-dernier-compte");
  await stay(visitor);
  await visitor.press("Se déconnecter");
  await visitor.sees("Vous êtes déconnecté de Raccord. Votre session ProConnect va être fermée aussi.");
  await holds(visitor, "fournisseur-depart-deconnexion");
  await visitor.leave();
});

for (const { javaScript, name, suffix } of scriptings) {
  test(`a provider that is killed in the middle: ${name}`, async () => {
    const visitor = await visit({ javaScript });
    visitor.expectStatus(503);
    await leave(visitor);
    await visitor.seesTitle("Fournisseur d’identité");
    await provider.dieAtToken();
    await authenticate(visitor, portal.manager.login);
    await visitor.sees("ProConnect ne répond pas pour le moment.");
    await holds(visitor, `fournisseur-absent-${suffix}`);
    await provider.exited;
    // People with a password still get in.
    await visitor.follow("Retour à la connexion");
    await visitor.signInHere(portal.manager);
    await visitor.seesTitle("Activités du gestionnaire");
    await visitor.press("Se déconnecter");
    await visitor.leave();
    await provider.start();
  });
}

test("a provider with new keys and another clock, with and without scripts", async () => {
  const visitors = [];
  for (const { javaScript } of scriptings) visitors.push(await visit({ javaScript }));
  for (const offset of [0, 90, -90]) {
    await provider.stop();
    // The pause between two looks for keys.
    await sleep(10_000);
    await provider.start(offset);
    // Each of them is once the first one whose token has an unknown key.
    for (const visitor of visitors.reverse()) {
      await visitor.context.clearCookies();
      await signIn(visitor, portal.manager);
      await visitor.seesTitle("Activités du gestionnaire");
    }
  }
  for (const visitor of visitors) await visitor.leave();
});
