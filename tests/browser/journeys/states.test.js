// Every state of every page before every judge: light, dark, forced colours, 320 px wide, double
// size.

import assert from "node:assert/strict";
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";

import { fillPortal } from "../support/fixtures.js";
import { judge, mainButton } from "../support/judges.js";
import { root } from "../support/portal.js";
import { withPortal } from "../support/setup.js";
import { walkThrough } from "../support/states.js";

let portal, browser;
withPortal((ready) => ({ portal, browser } = ready));

const only = process.env.STATES?.split(",");
assert(!only || !process.env.UPDATE_SNAPSHOTS, "what a page says is written by the whole walk: take STATES away");
const wanted = ({ name }) => !only || only.some((start) => name.startsWith(start));

/**
 * States whose main button follows what must be read or done first: the key of a second factor is
 * taken over by a telephone before its code is typed here.
 */
const readFirst = /^double-authentification-(cle|en-erreur)/;

test("every state of every page holds before every judge", async (t) => {
  const fixtures = await fillPortal(portal);
  const seen = new Set();
  await walkThrough(
    browser,
    portal,
    fixtures,
    (visitor, state) =>
      t.test(state.name, async () => {
        seen.add(new URL(visitor.page.url()).pathname);
        assert.deepEqual(await judge(visitor.page, await visitor.html()), []);
        if (!readFirst.test(state.name)) assert.deepEqual(await mainButton(visitor.page), []);
        // What a page says depends on what was done before: only the whole walk can be compared.
        if (!only && spoken.has(state.name)) await readsAsBefore(visitor.page, state.name);
      }),
    wanted,
  );
  if (!only) await t.test("every page of the portal has a state", async () => assert.deepEqual(await unseenPages(seen), []));
});

/**
 * Pages that answer with something else than a page of their own: a redirection, files. Those of
 * the way back from an identity provider are judged in `identity-provider.test.js`.
 */
const noPages = ["PROVIDER_CALLBACK", "PROVIDER_SIGNED_OUT", "HOME", "OVERVIEW_CSV", "DEADLINES_FILE", "CALENDAR", "STRUCTURE_HISTORY_CSV"];

/** The routes of the portal's table of contents that none of these paths is of. */
async function unseenPages(seen) {
  const read = (name) => readFile(join(root, "src/web", name), "utf8");
  const [paths, routes] = await Promise.all([read("paths.rs"), read("mod.rs")]);
  const patterns = new Map([...paths.matchAll(/pub const (\w+): &str = "(.*)";/g)].map(([, name, path]) => [name, path]));
  const pages = [...routes.matchAll(/\bpage\(paths::(\w+),/g)].map(([, name]) => name).filter((name) => !noPages.includes(name));
  assert(pages.length > 20, "the table of contents was read");
  const isSeen = (name) => {
    const pattern = new RegExp(`^${patterns.get(name).replace(/\{\w+\}/, "[^/]+")}$`);
    return [...seen].some((path) => pattern.test(path));
  };
  return pages.filter((name) => !isSeen(name));
}

/** The pages of the guide and those of the second factor, as a screen reader is given them. */
const spoken = new Set([
  "connexion",
  "connexion-refusee",
  "connexion-code",
  "double-authentification-cle",
  "codes-de-secours",
  "confirmation-identite",
  "activites",
  "fiche-deux-utilisateurs-techniques",
  "saisie",
  "saisie-en-erreur",
  "recapitulatif",
  "recapitulatif-deja-affiche",
  "utilisateur-technique",
  "popup-reinitialisation",
  "confirmation-suppression",
  "erreur-404",
]);

/**
 * Compares with what was read through last; `UPDATE_SNAPSHOTS=1` writes it anew, to be read through
 * again.
 */
async function readsAsBefore(page, name) {
  const file = new URL(`../snapshots/${name}.yml`, import.meta.url);
  const now = steady(await page.locator("body").ariaSnapshot());
  if (process.env.UPDATE_SNAPSHOTS) await writeFile(file, now);
  assert.equal(now, await readFile(file, "utf8"), `what a screen reader says on ${name}`);
}

/** Without what differs from one run to the next. */
function steady(text) {
  return `${text
    .replace(/\d+(er)? \p{L}+ \d{4}( à \d+[ \u00a0]h[ \u00a0]\d\d)?/gu, "DATE")
    .replace(/Dans \d+ jours?/g, "Dans N jours")
    .replace(/\d{1,3}([ \u202f]\d{3})*[ \u00a0](acceptés?|refusés?)/g, "N $2")
    .replace(/time: \p{L}+ \d{4}/gu, "time: MOIS")
    .replace(/rcd_\w{34}/g, "MOT-DE-PASSE")
    .replace(/\b[A-Z2-7]{32}\b/g, "CLÉ")
    .replace(/([A-Z2-7]{4}-){5}[A-Z2-7]{4}/g, "CODE")
    .replace(/[\w+/]{60,}=*/g, "CPRO-ACCOUNT")
    .replace(/127\.0\.0\.1:\d+/g, "PORTAIL")
    .replace(/(structures|utilisateurs-techniques)\/\d+/g, "$1/N")
    .replace(/(Numéro de demande[ \u00a0]: )\w+/g, "$1NUMÉRO")}\n`;
}
