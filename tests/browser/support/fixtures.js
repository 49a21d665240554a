// The demonstration with more data, so that every state of every page can be seen.

import { randomBytes } from "node:crypto";

/**
 * Structures by their place in the first manager's list. The demonstration gives them no accounts.
 */
const places = { empty: 1, two: 2, full: 8, long: 9, inactive: 10, work: 11, handed: 41, spare: 42 };

/** A text of the greatest length, with a word that no line can hold. */
function longText(length, words) {
  const unbroken = "Saintmichelenbrennelacommunautéurbaineintercommunaleduplateau";
  const text = `${words} ${unbroken} `.repeat(Math.ceil(length / (words.length + unbroken.length + 2)));
  return text.slice(0, length - 1) + "z";
}

export const longName = longText(250, "Syndicat intercommunal à vocation multiple de l’assainissement et des eaux du pays");
export const longLabel = longText(100, "Progiciel de gestion financière");
const longPerson = { first: longText(100, "Marie-Cunégonde"), last: longText(100, "de La Rochefoucauld") };

/**
 * Fills the demonstration and says where things are: `structures` and `accounts` by name, `links`
 * by what they are for.
 */
export async function fillPortal(portal) {
  const structures = {};
  for (const [name, place] of Object.entries(places)) {
    structures[name] = await portal.sql(
      `SELECT s.id FROM structures s JOIN users u ON u.id = s.principal_manager_id WHERE u.login = '${portal.manager.login}'
        ORDER BY designation, s.id OFFSET ${place} LIMIT 1`,
    );
  }
  await portal.sql(`UPDATE structures SET designation = '${longName}', address_line = '${longName}', city = '${longName}',
                           email = 'mairie@${"x".repeat(200)}.exemple.fr' WHERE id = ${structures.long};
                    UPDATE structures SET active = false WHERE id = ${structures.inactive}`);
  const people = await addPeople(portal, structures);
  const accounts = await addAccounts(portal, structures, people);
  await addHistory(portal, structures.full);
  const links = { ...(await addLinks(portal, people)), ...(await addHandovers(portal, structures, accounts)) };
  return { structures, accounts, people, links };
}

async function addPeople(portal, structures) {
  const add = async (login, first, last, hash) =>
    portal.sql(`INSERT INTO users (login, first_name, last_name, contact_address, password_hash)
                VALUES ('${login}', '${first}', '${last}', '${login}', ${hash}) RETURNING id`);
  const known = `(SELECT password_hash FROM users WHERE login = '${portal.member.login}')`;
  const invited = await add("lou.petit@exemple.fr", "Lou", "Petit", "NULL");
  const former = await add("ancienne@exemple.fr", "Odile", "Garnier", known);
  const long = await add(`${"prenom.compose".repeat(12)}@exemple.fr`, longPerson.first, longPerson.last, known);
  await portal.sql(`INSERT INTO memberships (user_id, structure_id, role) VALUES
                    (${long}, ${structures.long}, 'SECONDARY_MANAGER'), (${invited}, ${structures.full}, 'USER'),
                    (${long}, ${structures.full}, 'USER')`);
  return { invited, former, long };
}

async function addAccounts(portal, structures, people) {
  const number = {};
  async function add(structure, { label, status = "ACTIVE", days = 300, shown = true, exported = false, by, call }) {
    number[structure] = (number[structure] ?? 0) + 1;
    const quoted = label ? `'${label}'` : "NULL";
    return portal.sql(`
      WITH structure AS (UPDATE structures SET next_technical_number = ${number[structure] + 1} WHERE id = ${structure} RETURNING *)
      INSERT INTO technical_users (structure_id, number, login, label, status, created_by, password_hash, password_set_by,
             expires_at, password_shown_at, password_exported_at, last_call_at, last_call_address, last_call_software)
      SELECT id, ${number[structure]}, 'TECH_${number[structure]}_' || identifier || '@cpro.fr', ${quoted}, '${status}',
             principal_manager_id, (SELECT password_hash FROM technical_users ORDER BY id LIMIT 1), ${by ?? "principal_manager_id"},
             now() + interval '${days} days 1 hour', ${shown ? "now()" : "NULL"}, ${exported ? "now()" : "NULL"},
             ${call ? `now() - interval '3 hours', '${call.address}', '${call.software}'` : "NULL, NULL, NULL"}
        FROM structure RETURNING id`);
  }
  const { full, handed, long, work } = structures;
  const accounts = {
    known: await add(full, { label: "Logiciel de paie", by: people.former, call: { address: "2001:db8:4d2:91::1c3f", software: "Java/21.0.4" } }),
    today: await add(full, { label: "Gestion des marchés", days: 0, exported: true }),
    expired: await add(full, { label: "Ancien logiciel", days: -9 }),
    suspended: await add(full, { label: "Prestataire", status: "SUSPENDED" }),
    never: await add(full, { shown: false }),
    restricted: await add(work, { label: "Portail fournisseurs", call: { address: "192.0.2.7", software: "Odoo 17" } }),
    inactive: await add(structures.inactive, { label: "Logiciel de régie" }),
    waiting: await add(handed, { label: "Logiciel de gestion", shown: false }),
    opened: await add(handed, { label: "Logiciel des marchés", shown: false }),
    alarmed: await add(handed, { label: "Logiciel d’urbanisme", shown: false }),
    failing: await portal.sql("SELECT id FROM technical_users WHERE last_refusal_reason = 'WRONG_PASSWORD' ORDER BY id LIMIT 1"),
    long: await add(long, { label: longLabel, days: 20, call: { address: "2001:db8:4d2:91:ffff:ffff:ffff:1c3f", software: longName } }),
  };
  await portal.sql(`
    UPDATE technical_users SET network_rule = 'LIST', networks = '{192.0.2.0/24,2001:db8:4d2::/48}', structures_chosen = true
     WHERE id = ${accounts.restricted};
    INSERT INTO technical_user_structures SELECT ${accounts.restricted}, structure_id FROM memberships
     WHERE user_id = (SELECT id FROM users WHERE login = '${portal.manager.login}') ORDER BY structure_id LIMIT 14;
    INSERT INTO technical_user_callers (technical_user_id, address, last_call_at) VALUES
      (${accounts.restricted}, '192.0.2.7', now() - interval '3 hours'),
      (${accounts.restricted}, '2001:db8:4d2:91:ffff:ffff:ffff:1c3f', now() - interval '9 days'),
      (${accounts.never}, '203.0.113.7', now() - interval '3 hours'),
      (${accounts.never}, '192.0.2.7', now() - interval '2 days')`);
  await portal.sql(`
    INSERT INTO former_passwords (technical_user_id, credential_version, password_hash, set_by, shown_at, ends_at, last_call_at)
    SELECT id, 0, password_hash, password_set_by, now(), now() + interval '2 days', now() FROM technical_users WHERE id = ${accounts.today}`);
  // Its software still calls.
  await portal.sql(`
    UPDATE technical_users SET password_set_at = now() - interval '433 days', last_refused_at = now() - interval '2 hours',
           refused_since = now() - interval '9 days', last_refusal_reason = 'EXPIRED', last_refusal_address = '192.0.2.61',
           last_refusal_software = 'GuzzleHttp/7' WHERE id = ${accounts.expired};
    UPDATE technical_users SET password_set_at = now() - interval '40 days', last_refused_at = now() - interval '1 hour',
           refused_since = now() - interval '2 hours', last_refusal_reason = 'OUTSIDE_NETWORKS', last_refusal_address = '203.0.113.44',
           last_refusal_software = 'Odoo 17' WHERE id = ${accounts.restricted}`);
  return accounts;
}

/** More events than a page holds, in the weeks before. */
async function addHistory(portal, structure) {
  await portal.sql(`INSERT INTO audit_events (at, actor, address, action, structure_id, detail)
                    SELECT now() - make_interval(hours => 9 * n), '${portal.manager.login}', '2001:db8:4d2:91:ffff:ffff:ffff:1c3f',
                           'STRUCTURE_EDITED', ${structure}, 'Adresse, Téléphone' FROM generate_series(1, 120) n`);
}

/**
 * Links by which passwords are handed over, in each state. What is sealed here opens with no link:
 * pages that show a password are reached through the screens.
 */
async function addHandovers(portal, structures, accounts) {
  const links = {};
  async function hand(name, handed, columns = {}) {
    const secret = randomBytes(32).toString("base64url");
    const { recipient = "Zoé Petit, société Exemple", opened = false, sealed = !opened, ...others } = columns;
    const given = { token_hash: `sha256('${secret}')`, recipient: `'${recipient}'`, made_at: "now() - interval '5 hours'", expires_at: "now() + interval '3 days'", ...others };
    if (opened) Object.assign(given, { opened_at: "now() - interval '2 hours'", opened_address: "'192.0.2.61'", opened_software: "''" });
    await portal.sql(`
      WITH made AS (INSERT INTO handovers (made_by, ${Object.keys(given).join(", ")})
                    SELECT id, ${Object.values(given).join(", ")} FROM users WHERE login = '${portal.manager.login}' RETURNING id)
      INSERT INTO handed_over_passwords (technical_user_id, credential_version, handover_id, sealed, opened_at)
      SELECT t.id, ${handed ? "t.credential_version" : "0"}, made.id, ${sealed ? "'x'" : "NULL"}, ${opened ? "now()" : "NULL"}
        FROM technical_users t, made WHERE t.id IN (${handed ?? accounts.waiting})`);
    links[name] = `/remise/${secret}`;
  }
  const spare = (number) => portal.sql(`
    INSERT INTO technical_users (structure_id, number, login, label, created_by, password_set_by, password_hash, expires_at)
    SELECT ${structures.spare}, ${number}, 'TECH_${number}_REMISE@cpro.fr', NULL, created_by, created_by, password_hash, expires_at
      FROM technical_users WHERE id = ${accounts.waiting} RETURNING id`);
  await hand("handover", [accounts.waiting, await spare(101)].join(", "));
  await hand("handoverWithCode", accounts.long, { code_salt: "'\\x00112233445566778899aabbccddeeff'" });
  await hand("handoverOpened", accounts.opened, { opened: true });
  await hand("handoverAlarmed", accounts.alarmed, {
    opened: true, refusals: 1, last_refused_at: "now() - interval '1 hour'", last_refused_address: "'203.0.113.44'", last_refusal: "'AGAIN'",
  });
  await hand("handoverRevoked", await spare(102), { sealed: false, ended_at: "now()", ended_by: "'REVOKED'" });
  await hand("handoverExpired", await spare(103), { expires_at: "now() - interval '1 hour'" });
  await hand("handoverClosed", await spare(104), { sealed: false, ended_at: "now()", ended_by: "'WRONG_CODES'", tries: 5 });
  await hand("handoverWorthless", await spare(105), { sealed: false });
  return links;
}

/** Links as mails carry them. */
async function addLinks(portal, people) {
  const links = {};
  for (const [name, person] of [["invited", people.invited], ["forgotten", people.former]]) {
    const secret = randomBytes(32).toString("base64url");
    await portal.sql(`INSERT INTO invitations (token_hash, user_id, expires_at)
                      VALUES (sha256('${secret}'), ${person}, now() + interval '1 hour')`);
    links[name] = `/invitation/${secret}`;
  }
  const secret = randomBytes(32).toString("base64url");
  await portal.sql(`UPDATE users SET former_contact_address = contact_address, contact_address_confirmed_at = NULL WHERE id = ${people.former};
                    INSERT INTO address_confirmations (token_hash, user_id, address, expires_at, epoch)
                    SELECT sha256('${secret}'), id, contact_address, now() + interval '1 day', known_browsers_epoch FROM users WHERE id = ${people.former}`);
  links.address = `/confirmation-adresse/${secret}`;
  return links;
}
