// What the test files share around their tests.

import { after, before } from "node:test";

import { openBrowser } from "./browser.js";
import { startPortal } from "./portal.js";

/**
 * Starts a portal and a browser before the tests of a file, gives them to `ready`, and ends both
 * after the tests.
 */
export function withPortal(ready) {
  let portal, browser;
  before(async () => {
    [portal, browser] = await Promise.all([startPortal(), openBrowser()]);
    ready({ portal, browser });
  });
  after(async () => {
    await browser.close();
    await portal.stop();
  });
}

/** The two kinds of browsers for which a journey runs; `suffix` is for names of pictures. */
export const scriptings = [
  { javaScript: true, name: "with scripts", suffix: "with-scripts" },
  { javaScript: false, name: "without scripts", suffix: "without-scripts" },
];
