// What several journeys do on their way.

import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { promisify } from "node:util";

const run = promisify(execFile);

export const reset = "Réinitialiser le mot de passe (utilisateur technique)";
export const passwordShape = /^rcd_[2-9A-HJ-NP-Za-km-z]{34}$/;

/** The first structure of the manager's list that has so many technical users. */
export async function structureWith(visitor, technicalUsers) {
  await visitor.page.goto("/activites");
  const rows = visitor.page.locator("tbody tr").filter({
    has: visitor.page.locator("td[data-label='Utilisateurs techniques']", { hasText: new RegExp(`^${technicalUsers}$`) }),
  });
  return rows.first().getByRole("rowheader").innerText();
}

/** From anywhere to a structure's page, by the search of the manager's tab. */
export async function openStructure(visitor, name) {
  await visitor.follow("Activités du gestionnaire");
  await visitor.page.getByLabel("Rechercher une structure").fill(name);
  await visitor.press("Rechercher");
  await visitor.follow(`Modifier la fiche structure ${name}`);
  await visitor.seesTitle(name);
}

/** From a structure's page to the récapitulatif of a new account. */
export async function createTechnicalUser(visitor, label) {
  await visitor.follow("Créer un utilisateur technique");
  await visitor.seesTitle("Saisie utilisateur technique");
  if (label) await visitor.page.getByLabel("Libellé").fill(label);
  await visitor.press("Créer l’utilisateur technique");
  return readSummary(visitor);
}

/** What the récapitulatif shows, this once. */
export async function readSummary(visitor) {
  await visitor.seesTitle("Récapitulatif");
  const password = await visitor.page.locator("output#mot-de-passe").textContent();
  assert.match(password, passwordShape);
  visitor.portal.remember(password);
  return { login: await visitor.fact("Identifiant de connexion").textContent(), password };
}

/** « Confirmer », in the dialog that the button opens or, without scripts, on the page that it leads to. */
export async function confirm(visitor, button) {
  await visitor.press(button);
  await visitor.press("Confirmer", visitor.javaScript ? visitor.page.getByRole("dialog") : visitor.page);
}

/** The PDF of the displayed récapitulatif: its name, and its text as a reader copies it. */
export async function exportSheet(visitor) {
  const [download] = await Promise.all([
    visitor.page.waitForEvent("download"),
    visitor.press("Exporter les informations de connexion"),
  ]);
  // Said where the page can; the button keeps the focus.
  if (visitor.javaScript) {
    await visitor.page.getByRole("status").filter({ hasText: "Document exporté" }).waitFor();
    assert.equal(await visitor.page.evaluate(() => document.activeElement.textContent), "Exporter les informations de connexion");
  }
  const path = await download.path();
  await run("qpdf", ["--check", path]);
  return { name: download.suggestedFilename(), text: (await run("pdftotext", ["-layout", path, "-"])).stdout };
}

/** Ends the loss warning of the récapitulatif in the way that a person does who wants to leave. */
export function leaveWithoutRegret(visitor) {
  visitor.page.on("dialog", (dialog) => dialog.accept());
}
