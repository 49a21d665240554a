// Every kind of mail as its reader sees it, before the judges of the pages.

import assert from "node:assert/strict";
import { test } from "node:test";

import { newVisitor } from "../support/browser.js";
import { fillPortal } from "../support/fixtures.js";
import { axe, colourRules, html, typography, width } from "../support/judges.js";
import { letters } from "../support/mails.js";
import { withPortal } from "../support/setup.js";

let portal, browser;
withPortal((ready) => ({ portal, browser } = ready));

test("every kind of mail is read in any light and at any width", async (t) => {
  const { people } = await fillPortal(portal);
  const reader = await newVisitor(browser, portal);
  const { page } = reader;
  for (const letter of await letters(portal, people)) {
    await t.test(letter.name, async () => {
      await page.setContent(letter.html);
      const found = [...(await axe(page)), ...(await html(letter.html)), ...(await typography(page, 5))];
      await page.emulateMedia({ colorScheme: "dark" });
      found.push(...(await axe(page, colourRules)).map((text) => `dark: ${text}`));
      await page.emulateMedia({ colorScheme: "light" });
      await page.setViewportSize({ width: 320, height: 640 });
      found.push(...(await width(page, "320 px")), ...(await axe(page)).map((text) => `320 px: ${text}`));
      await page.setViewportSize({ width: 1280, height: 900 });
      assert.deepEqual(found, []);
      assert.match(letter.text, /^Bonjour,/);
    });
  }
  await reader.leave();
});
