// Every kind of mail as the portal writes it: notices are put in its outbox, and read from its
// folder.

import assert from "node:assert/strict";
import { readFile, readdir } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";

import { longLabel, longName } from "./fixtures.js";
import { root } from "./portal.js";

const at = 1_832_133_600;
const structure = { structure: "Ville de Chartres", identifier: "21280085300015" };
const account = {
  technical_user_id: 1,
  login: "TECH_1_21280085300015@cpro.fr",
  label: "Logiciel de paie",
  ...structure,
  actor: "claire.fontaine@raccord.example",
  at,
  expires_at: at,
};
const handedOver = {
  kind: "handover",
  technical_user_id: 1,
  accounts: [`${account.login} (${account.label})`],
  others: 0,
  recipient: "Zoé Petit, société Exemple",
  made_at: at,
  at,
  address: "192.0.2.61",
  software: "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0",
};
const manager = { kind: "manager_changed", ...structure, new_manager: "Nadia Benali" };
const membership = { kind: "membership_changed", ...structure, actor: account.actor };
const secondFactor = (change) => ({ kind: "second_factor_changed", login: account.actor, change, at });

/** The notices, by the name of the mail. `people` are those whom links are for. */
const notices = (people) => ({
  creation: { kind: "technical_user_created", ...account },
  "creation-noms-longs": { kind: "technical_user_created", ...account, label: longLabel, structure: longName },
  reinitialisation: { kind: "password_reset", ...account, label: null },
  "reinitialisation-ancien-garde": { kind: "password_reset", ...account, former_until: at },
  "restrictions-modifiees": {
    kind: "restrictions_changed",
    ...account,
    changes: ["Réseaux autorisés\u{a0}: toute adresse → 192.0.2.0/24, 2001:db8:4d2::/48", "Structures\u{a0}: toutes celles du gestionnaire → 1 choisie (21280085300015)"],
  },
  "appels-hors-reseaux": {
    kind: "calls_outside_networks",
    ...account,
    calls: ["3 appels\u{a0}: adresse hors des réseaux autorisés, depuis 203.0.113.7", "1 appel\u{a0}: adresse hors des réseaux autorisés, depuis 2001:db8:4d2:91:ffff:ffff:ffff:1c3f"],
  },
  "remise-ouverte": { ...handedOver, event: "opened" },
  "remise-ouverte-comptes": { ...handedOver, technical_user_id: null, accounts: [account.login, `TECH_2_21280085300015@cpro.fr (${longLabel})`], others: 248, event: "opened" },
  "remise-seconde-fois": { ...handedOver, event: { refused: "again" } },
  "remise-revoquee": { ...handedOver, event: { refused: "revoked" } },
  "remise-expiree": { ...handedOver, event: { refused: "expired" } },
  "remise-codes-incorrects": { ...handedOver, recipient: longLabel, event: { refused: "wrong_codes" } },
  "echeance-60-jours": { kind: "password_expiring", ...account, days_left: 60 },
  "echeance-demain": { kind: "password_expiring", ...account, days_left: 1 },
  "echeance-aujourdhui": { kind: "password_expiring", ...account, label: null, days_left: 0 },
  echeances: { kind: "passwords_expiring", accounts: [`${account.login} (${account.label})`, `TECH_2_21280085300015@cpro.fr (${longLabel})`], others: 10, first_at: at },
  "lot-termine": { kind: "batch_finished", act: "reset_password", done: 12, refused: 1, actor: account.actor, at },
  "suspension-par-l-operateur": { kind: "changed_by_operator", ...account, act: "suspended", reason: "Mot de passe trouvé dans un dépôt public" },
  "reactivation-par-l-operateur": { kind: "changed_by_operator", ...account, label: longLabel, structure: longName, act: "reactivated", reason: null },
  "expiration-par-l-operateur": { kind: "changed_by_operator", ...account, label: null, act: "expired", reason: "Restauration de la base" },
  "compte-inutilise": { kind: "accounts_dormant", accounts: [`${account.login} (${account.label})`], others: 0, idle_days: 180, suspends_at: at },
  "comptes-inutilises": { kind: "accounts_dormant", accounts: [account.login, `TECH_2_21280085300015@cpro.fr (${longLabel})`], others: 248, idle_days: 180, suspends_at: at },
  "compte-inutilise-suspendu": { kind: "dormant_accounts_suspended", accounts: [account.login], others: 0, idle_days: 180, suspends_at: at },
  "comptes-inutilises-suspendus": { kind: "dormant_accounts_suspended", accounts: [account.login, `TECH_2_21280085300015@cpro.fr (${longLabel})`], others: 1, idle_days: 180, suspends_at: at },
  "gestionnaire-nouveau": { ...manager, is_recipient: true, known_accounts: [account.login, "TECH_2_21280085300015@cpro.fr"] },
  "gestionnaire-nouveau-sans-compte": { ...manager, is_recipient: true, known_accounts: [] },
  "gestionnaire-ancien": { ...manager, is_recipient: false, known_accounts: [] },
  proposition: { kind: "succession_offered", ...structure, structure_id: 1, manager: "Claire Fontaine" },
  "proposition-noms-longs": { kind: "succession_offered", ...structure, structure: longName, structure_id: 1, manager: longLabel },
  "proposition-faite": { kind: "succession_offer_made", ...structure, structure_id: 1, successor: "Nadia Benali" },
  "proposition-faite-noms-longs": { kind: "succession_offer_made", ...structure, structure: longName, structure_id: 1, successor: longLabel },
  rattachement: { ...membership, role: "Gestionnaire secondaire" },
  "rattachement-fin": { ...membership, role: null },
  "role-modifie": { ...membership, role: "Gestionnaire secondaire", former_role: "Utilisateur" },
  "rattachements-fin": { kind: "memberships_ended", structures: ["Ville de Chartres (21280085300015)", `${longName} (21690123100011)`], others: 248, actor: account.actor },
  depart: { kind: "member_left", ...structure, member: "Lou Petit (lou.petit@exemple.fr)" },
  "depart-noms-longs": { kind: "member_left", ...structure, structure: longName, member: longLabel },
  demande: { kind: "membership_requested", ...structure, person: "Lou Petit", login: "lou.petit@exemple.fr" },
  "demande-noms-longs": { kind: "membership_requested", ...structure, structure: longName, person: longLabel, login: `${"prenom.compose".repeat(12)}@exemple.fr` },
  "demande-refusee": { kind: "membership_refused", ...structure },
  "adresse-de-contact": { kind: "contact_address_changed", new_address: `mairie@${"x".repeat(60)}.exemple.fr` },
  "adresse-a-confirmer": { kind: "contact_address_to_confirm", user_id: Number(people.long), address: "adresse-a-confirmer@mails.exemple.fr" },
  invitation: { kind: "invitation", user_id: Number(people.invited) },
  "mot-de-passe-oublie": { kind: "password_forgotten", user_id: Number(people.former) },
  "mot-de-passe-choisi": { kind: "password_chosen", login: account.actor, at },
  "double-authentification-activee": secondFactor("enabled"),
  "double-authentification-desactivee": secondFactor("disabled"),
  "double-authentification-reinitialisee": secondFactor("reset"),
  "codes-de-secours": secondFactor("codes_renewed"),
  "lien-de-calendrier": { kind: "calendar_link_made", login: account.actor, at },
  "compte-associe": { kind: "provider_identity_changed", login: account.actor, provider: "ProConnect", identity: account.actor, is_linked: true, at },
  "compte-dissocie": { kind: "provider_identity_changed", login: account.actor, provider: "ProConnect", identity: account.actor, is_linked: false, at },
  "nouvelle-connexion": { kind: "new_sign_in", login: account.actor, address: "2001:db8:4d2:91::1c3f", software: "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0", at },
  "codes-incorrects": { kind: "wrong_codes", login: account.actor, address: "2001:db8:4d2:91::1c3f", at },
  "avis-omis": { kind: "notices_left_out" },
});

/** Has the portal write a mail of every kind: `{ name, subject, text, html }`. */
export async function letters(portal, people) {
  const all = notices(people);
  const kinds = new Set(Object.values(all).map(({ kind }) => kind));
  const templates = (await readdir(join(root, "templates/mails"))).filter((file) => file.endsWith(".html") && !/^(_|letter)/.test(file));
  assert.deepEqual([...kinds].map((kind) => `${kind}.html`).sort(), templates.sort(), "every kind of mail is looked at");
  // Each to an address of its own: of one recipient's mails, one leaves at a time.
  const rows = Object.entries(all).map(([name, notice]) => `('${name}@mails.exemple.fr', '${JSON.stringify(notice).replaceAll("'", "''")}')`);
  // A link goes to the address that its person has confirmed when the mail is written.
  for (const [name, { kind, user_id }] of Object.entries(all)) {
    if (kind === "invitation" || kind === "password_forgotten") {
      await portal.sql(`UPDATE users SET contact_address = '${name}@mails.exemple.fr', contact_address_confirmed_at = portal_now() WHERE id = ${user_id}`);
    }
    if (kind === "contact_address_to_confirm") {
      await portal.sql(`UPDATE users SET contact_address = '${name}@mails.exemple.fr', contact_address_confirmed_at = NULL WHERE id = ${user_id}`);
    }
  }
  await portal.sql(`INSERT INTO mails (recipient, notice) VALUES ${rows.join(", ")}`);
  const letters = [];
  for (const name of Object.keys(all)) letters.push({ name, ...(await letterTo(portal, `${name}@mails.exemple.fr`)) });
  return letters;
}

async function letterTo(portal, address) {
  const folder = join(portal.directory, "mails");
  for (let tries = 0; tries < 200; tries++) {
    const names = await readdir(folder).catch(() => []);
    const file = names.find((name) => !name.startsWith(".") && name.endsWith(`-${address}.eml`));
    if (file) return parsed(await readFile(join(folder, file), "latin1"));
    await sleep(100);
  }
  return assert.fail(`no mail to ${address}`);
}

/** Both parts of a multipart/alternative. */
function parsed(letter) {
  const boundary = letter.match(/boundary="([^"]+)"/)[1];
  const parts = letter.split(`--${boundary}`).slice(1, 3).map((part) => {
    const at = part.indexOf("\r\n\r\n");
    const encoding = part.slice(0, at).match(/Content-Transfer-Encoding: (\S+)/i)?.[1] ?? "7bit";
    return decoded(part.slice(at + 4), encoding);
  });
  const [text, html] = parts;
  return { text, html, subject: html.match(/<title>(.*?)<\/title>/s)[1] };
}

function decoded(body, encoding) {
  if (encoding === "base64") return Buffer.from(body, "base64").toString("utf8");
  if (encoding !== "quoted-printable") return Buffer.from(body, "latin1").toString("utf8");
  const bytes = body.replaceAll("=\r\n", "").replace(/=([0-9A-F]{2})/g, (_, hex) => String.fromCharCode(parseInt(hex, 16)));
  return Buffer.from(bytes, "latin1").toString("utf8");
}
