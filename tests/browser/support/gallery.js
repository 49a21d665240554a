// Paints every state of every page and every kind of mail, light, dark and 320 px wide, into
// target/gallery. Names on the command line choose states; those of mails begin with « mail- ».
// `--readme` paints the pictures of the README into docs/images instead.

import { rm } from "node:fs/promises";
import { join } from "node:path";

import { gallery, newVisitor, openBrowser } from "./browser.js";
import { fillPortal } from "./fixtures.js";
import { letters } from "./mails.js";
import { root, startPortal } from "./portal.js";
import { walkThrough } from "./states.js";

const forReadme = process.argv[2] === "--readme";
const names = forReadme ? [] : process.argv.slice(2);
const shownInReadme = ["activites", "fiche-deux-utilisateurs-techniques", "recapitulatif", "popup-reinitialisation"];
const wanted = ({ name }) => (forReadme ? shownInReadme.includes(name) : names.length === 0 || names.some((start) => name.startsWith(start)));
const directory = forReadme ? join(root, "docs/images") : gallery;

const looks = [
  { look: "clair" },
  { look: "sombre", colorScheme: "dark" },
  { look: "320", width: 320, height: 640 },
];

if (names.length === 0 && !forReadme) await rm(gallery, { recursive: true, force: true });
const [portal, browser] = await Promise.all([startPortal(), openBrowser()]);
let painted = 0;
try {
  const fixtures = await fillPortal(portal);
  await walkThrough(browser, portal, fixtures, paint, wanted);
  if (names.length === 0 || names.some((name) => name.startsWith("mail"))) await paintMails(fixtures);
} finally {
  await browser.close();
  await portal.stop();
}
console.log(`${painted} pictures in ${directory}`);

async function paintMails({ people }) {
  const reader = await newVisitor(browser, portal);
  for (const { name, html } of await letters(portal, people)) {
    if (!wanted({ name: `mail-${name}` })) continue;
    await reader.page.setContent(html);
    await paint(reader, { name: `mail-${name}` });
  }
  await reader.leave();
}

async function paint({ page }, { name }) {
  if (forReadme) {
    // The block that the README is about, not the top of the page.
    if (name.startsWith("fiche")) await page.locator("#utilisateurs-rattaches").evaluate((block) => block.scrollIntoView());
    await page.screenshot({ path: join(directory, `${name}.png`), animations: "disabled" });
    return painted++;
  }
  for (const { look, colorScheme = "light", width = 1280, height = 900 } of looks) {
    await page.emulateMedia({ colorScheme });
    await page.setViewportSize({ width, height });
    // A dialog is pictured in its window, a page in full length.
    const fullPage = (await page.locator("dialog[open], .session-warning:not([hidden])").count()) === 0;
    await page.screenshot({ path: join(gallery, `${name}-${look}.png`), fullPage, animations: "disabled" });
    painted++;
  }
  await page.emulateMedia({ colorScheme: "light" });
  await page.setViewportSize({ width: 1280, height: 900 });
}
