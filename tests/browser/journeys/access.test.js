// Which pages a person may open, and what the others answer.

import assert from "node:assert/strict";
import { test } from "node:test";

import { newVisitor } from "../support/browser.js";
import { managersTab } from "../support/journey.js";
import { withPortal } from "../support/setup.js";

let portal, browser;
withPortal((ready) => ({ portal, browser } = ready));

for (const who of ["secondaryManager", "member"]) {
  test(`the manager’s tab does not exist for a ${who}`, async () => {
    const visitor = await newVisitor(browser, portal);
    visitor.expectStatus(403, 404);
    await visitor.signIn(portal[who]);
    await visitor.seesTitle("Mon compte");
    assert.equal(await visitor.page.getByRole("link", { name: managersTab }).count(), 0);
    assert.equal((await visitor.page.goto("/activites")).status(), 403);
    await visitor.seesTitle("Accès refusé");
    await visitor.look(`acces-refuse-${who}`);
    assert.equal((await visitor.page.goto("/structures/1")).status(), 404);
    await visitor.leave();
  });
}

test("people are sent to the sign-in and back to where they wanted to go", async () => {
  const visitor = await newVisitor(browser, portal);
  await visitor.page.goto("/mon-compte");
  await visitor.seesTitle("Connexion");
  await visitor.signInHere(portal.member);
  await visitor.seesTitle("Mon compte");
  await visitor.press("Se déconnecter");
  await visitor.sees("Vous êtes déconnecté.");
  await visitor.page.goto("/mon-compte");
  await visitor.seesTitle("Connexion");
  await visitor.leave();
});

test("one sentence answers every failed sign-in", async () => {
  const visitor = await newVisitor(browser, portal);
  visitor.expectStatus(422);
  for (const account of [{ login: portal.member.login, password: "faux" }, { login: "personne@exemple.fr", password: "faux" }]) {
    await visitor.signIn(account);
    await visitor.sees("Identifiant ou mot de passe incorrect.");
  }
  await visitor.look("connexion-refusee");
  await visitor.leave();
});

test("pages that exist for nobody say so in plain words", async () => {
  const visitor = await newVisitor(browser, portal);
  visitor.expectStatus(404);
  await visitor.page.goto("/nulle-part");
  await visitor.seesTitle("Page introuvable");
  await visitor.look("page-introuvable");
  await visitor.follow("Revenir à l’accueil");
  await visitor.seesTitle("Connexion");
  await visitor.leave();
});
