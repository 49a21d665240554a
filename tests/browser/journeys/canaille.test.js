// Sign-in with Canaille: an identity provider that is neither ProConnect nor one with its library.

import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";

import { newVisitor, openBrowser } from "../support/browser.js";
import { authenticate, Canaille, consent, isInstalled, proveAgain } from "../support/canaille.js";
import { confirm, createTechnicalUser, passwordOf, readSummary, reset } from "../support/journey.js";
import { freePort } from "../support/portal.js";
import { startPortalFor } from "../support/provider.js";
import { scriptings } from "../support/setup.js";

const settings = { RACCORD_OIDC_LABEL: "Canaille", RACCORD_OIDC_SCOPES: "openid email", RACCORD_OIDC_ACR_VALUES: "none" };
const toProvider = "S’identifier avec Canaille";

describe("with Canaille", { skip: !isInstalled && "Canaille is not installed: bin/test does it" }, () => {
  let portal, provider, browser;
  before(async () => {
    provider = new Canaille(await freePort());
    [portal, browser] = await Promise.all([startPortalFor(provider.url, await freePort(), settings), openBrowser()]);
    await provider.start(portal.url, [portal.manager, portal.managerOfOne]);
  });
  after(async () => {
    await browser.close();
    await portal.stop();
    await provider.stop();
  });

  for (const { javaScript, name } of scriptings) {
    test(`a manager is linked, confirms a reset and signs out on both sides: ${name}`, async () => {
      const person = javaScript ? portal.manager : portal.managerOfOne;
      const visitor = await newVisitor(browser, portal, { javaScript, foreign: provider.url });
      await visitor.page.goto("/connexion");
      await visitor.press(toProvider);
      await authenticate(visitor, person);
      await consent(visitor);
      await visitor.seesTitle("Activités du gestionnaire");
      await visitor.page.goto("/mon-compte");
      await visitor.sees(`${person.login}, associé le`);

      await visitor.page.goto("/activites");
      await visitor.page.getByRole("link", { name: /^Modifier la fiche structure / }).first().click();
      const { password } = await createTechnicalUser(visitor, "Paie");
      await visitor.press("Retour sur la fiche structure");
      await visitor.follow("Paie");
      await portal.sql("UPDATE sessions SET authenticated_at = authenticated_at - interval '16 minutes'");
      visitor.expectStatus(403);
      await confirm(visitor, reset);
      await visitor.seesTitle("Confirmez votre identité");
      await visitor.press(toProvider);
      // It has a session of its own, and must ask nevertheless.
      await proveAgain(visitor, person);
      await visitor.seesTitle("Identité confirmée");
      await visitor.press("Poursuivre");
      const renewed = await readSummary(visitor);
      assert.notEqual(renewed.password, password);
      await passwordOf(visitor).waitFor();

      await visitor.page.goto("/mon-compte");
      await visitor.press("Se déconnecter");
      await visitor.sees("Vous êtes déconnecté de Raccord et de votre fournisseur d’identité.");
      await visitor.press(toProvider);
      await visitor.page.getByLabel("Identifiant").waitFor();
      await visitor.leave();
    });
  }
});
