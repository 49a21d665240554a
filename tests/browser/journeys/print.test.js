// What a page prints, as a reader of the printed PDF copies it.

import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import { promisify } from "node:util";

import { newVisitor } from "../support/browser.js";
import { createTechnicalUser, leaveSummary, openStructure, structureWith } from "../support/journey.js";
import { beginSecondFactor, secondFactorPage } from "../support/second-factor.js";
import { withPortal } from "../support/setup.js";

const run = promisify(execFile);

let portal, browser;
withPortal((ready) => ({ portal, browser } = ready));

/** The text of the page, printed on A4. */
async function printed({ page }) {
  const path = join(portal.directory, "printed.pdf");
  await writeFile(path, await page.pdf({ format: "A4" }));
  return (await run("pdftotext", [path, "-"])).stdout;
}

test("a printed secret has no gaps", async () => {
  const visitor = await newVisitor(browser, portal);
  await visitor.signIn(portal.manager);
  await openStructure(visitor, await structureWith(visitor, 0));
  const { password } = await createTechnicalUser(visitor, "Imprimé");
  assert((await printed(visitor)).includes(password));
  await leaveSummary(visitor);
  await visitor.page.goto(secondFactorPage);
  const key = await beginSecondFactor(visitor);
  assert((await printed(visitor)).includes(key));
  await visitor.leave();
});
