// Steps that several journeys share.

import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { promisify } from "node:util";

const run = promisify(execFile);

export const managersTab = "Activités du gestionnaire";
export const designation = "Désigner un nouveau gestionnaire principal";
export const endAtOnce = "Supprimer immédiatement l’ancien mot de passe";
export const reset = "Réinitialiser le mot de passe (utilisateur technique)";
const passwordShape = /^rcd_[2-9A-HJ-NP-Za-km-z]{34}$/;

/** Where the récapitulatif shows the password. */
export const passwordOf = (visitor) => visitor.page.locator("output#mot-de-passe");

/** Where an act is confirmed: the dialog or, without scripts, the page. */
export const confirmationOf = (visitor) => visitor.page.getByRole(visitor.javaScript ? "dialog" : "main");

/** The first structure of the manager's list that has so many technical users. */
export async function structureWith(visitor, technicalUsers) {
  await visitor.page.goto("/activites");
  const rows = visitor.page.locator("tbody tr").filter({
    has: visitor.page.locator("td[data-label='Utilisateurs techniques']", { hasText: new RegExp(`^${technicalUsers}$`) }),
  });
  return rows.first().getByRole("rowheader").innerText();
}

/**
 * From anywhere to what the search of the manager's tab finds. With one structure there is no
 * search: its card is there.
 */
export async function searchStructure(visitor, name) {
  await visitor.follow(managersTab);
  const search = visitor.page.getByLabel("Rechercher une structure");
  if ((await search.count()) === 0) return;
  await search.fill(name);
  await visitor.press("Rechercher");
}

/** From anywhere to a structure's page, by the search of the manager's tab. */
export async function openStructure(visitor, name) {
  await searchStructure(visitor, name);
  await visitor.follow(`Modifier la fiche structure ${name}`);
  await visitor.seesTitle(name);
}

/** From a structure's page to the form of a new account. */
export async function openCreation(visitor) {
  await visitor.follow("Créer un utilisateur technique");
  await visitor.seesTitle("Saisie utilisateur technique");
}

/** Fills in that form, and sends it. */
export async function submitCreation(visitor, label) {
  if (label) await visitor.page.getByLabel("Libellé").fill(label);
  await visitor.press("Créer l’utilisateur technique");
}

/** From a structure's page to the récapitulatif of a new account. */
export async function createTechnicalUser(visitor, label) {
  await openCreation(visitor);
  await submitCreation(visitor, label);
  return readSummary(visitor);
}

/** From the récapitulatif to the structure's page. */
export async function leaveSummary(visitor) {
  await visitor.press("Retour sur la fiche structure");
}

/** Login and password on a récapitulatif that shows them. */
export async function readSummary(visitor) {
  await visitor.seesTitle("Récapitulatif");
  const password = await passwordOf(visitor).textContent();
  assert.match(password, passwordShape);
  visitor.portal.remember(password);
  return { login: await visitor.fact("Identifiant de connexion").textContent(), password };
}

/**
 * Presses a button, and « Confirmer » in the dialog that it opens or, without scripts, on the page
 * that it leads to.
 */
export async function confirm(visitor, button) {
  await visitor.press(button);
  const confirmation = confirmationOf(visitor);
  await confirmation.getByRole("button", { name: "Confirmer", exact: true }).waitFor();
  // A reset preselects nothing where the account has just called.
  const choice = confirmation.getByLabel(endAtOnce, { exact: true });
  if (await choice.count()) await choice.check();
  await visitor.press("Confirmer", confirmation);
}

/**
 * Offers the structure whose form is open to the demonstration's secondary manager.
 */
export async function designateNadia(visitor) {
  const form = confirmationOf(visitor);
  await form.getByLabel("Nouveau gestionnaire principal").selectOption({ label: "Nadia Benali (Gestionnaire secondaire)" });
  await visitor.press("Confirmer", form);
  await visitor.sees("La désignation est proposée.");
}

/** Accepts the structure that the visitor is offered, and sees its page. */
export async function acceptStructure(visitor) {
  await visitor.page.getByRole("link", { name: "Examiner la proposition" }).first().click();
  await visitor.seesTitle("Examiner la proposition");
  await visitor.press("Accepter");
  await visitor.sees("Vous êtes gestionnaire principal de cette structure.");
}

export const requestKept = "Votre demande est enregistrée.";

/** Asks to be attached to the structure with this identifier, on the page of such requests. */
export async function requestMembership(visitor, identifier) {
  await visitor.page.getByLabel("Identifiant de la structure").fill(identifier);
  await visitor.press("Envoyer la demande");
}

/** The file that the link or button with this name gives. */
export async function download(visitor, name) {
  const [link, button] = ["link", "button"].map((role) => visitor.page.getByRole(role, { name, exact: true }));
  const [file] = await Promise.all([visitor.page.waitForEvent("download"), link.or(button).first().click()]);
  return { name: file.suggestedFilename(), path: await file.path() };
}

export const exportButton = "Exporter les informations de connexion";

/** The PDF of the displayed récapitulatif: its name, and its text as a reader copies it. */
export async function exportSheet(visitor) {
  const { name, path } = await download(visitor, exportButton);
  // With scripts the page says so, and the button keeps the focus.
  if (visitor.javaScript) {
    await visitor.page.getByRole("status").filter({ hasText: "Document exporté" }).waitFor();
    assert.equal(await visitor.page.evaluate(() => document.activeElement.textContent), exportButton);
  }
  await run("qpdf", ["--check", path]);
  return { name, text: (await run("pdftotext", ["-layout", path, "-"])).stdout };
}

/** Accepts the warning of the récapitulatif against leaving it. */
export function leaveWithoutRegret(visitor) {
  visitor.page.on("dialog", (dialog) => dialog.accept());
}
