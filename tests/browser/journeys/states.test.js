// Every state of every page, before every judge: in light and dark, at 320 px, at twice the size, with forced colours.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";

import { openBrowser } from "../support/browser.js";
import { fillPortal } from "../support/fixtures.js";
import { axe, borders, colourRules, equalAccess, html, typography, width } from "../support/judges.js";
import { startPortal } from "../support/portal.js";
import { walkThrough } from "../support/states.js";

let portal, browser;
before(async () => ([portal, browser] = await Promise.all([startPortal(), openBrowser()])));
after(async () => {
  await browser.close();
  await portal.stop();
});

const only = process.env.STATES?.split(",");
const wanted = ({ name }) => !only || only.some((start) => name.startsWith(start));

test("every state of every page holds before every judge", async (t) => {
  const fixtures = await fillPortal(portal);
  await walkThrough(
    browser,
    portal,
    fixtures,
    (visitor, state) =>
      t.test(state.name, async () => {
        assert.deepEqual(await judge(visitor.page, await visitor.html()), []);
      }),
    wanted,
  );
});

/** All that is found about a page; leaves it as it was. */
async function judge(page, text) {
  const found = [...(await axe(page)), ...(await equalAccess(page)), ...(await html(text)), ...(await typography(page))];
  await page.emulateMedia({ colorScheme: "dark" });
  found.push(...(await axe(page, colourRules)).map((text) => `dark: ${text}`));
  await page.emulateMedia({ colorScheme: "light", forcedColors: "active" });
  found.push(...(await borders(page)));
  await page.emulateMedia({ colorScheme: "light", forcedColors: "none" });
  found.push(...(await width(page, "1280 px")));
  await page.evaluate(() => (document.documentElement.style.fontSize = "200%"));
  found.push(...(await width(page, "text at 200 %")));
  await page.evaluate(() => (document.documentElement.style.fontSize = ""));
  for (const px of [1000, 640]) {
    await page.setViewportSize({ width: px, height: 640 });
    found.push(...(await width(page, `${px} px`)));
  }
  await page.setViewportSize({ width: 320, height: 640 });
  found.push(...(await width(page, "320 px")), ...(await axe(page)).map((text) => `320 px: ${text}`));
  await page.setViewportSize({ width: 1280, height: 900 });
  return found;
}
