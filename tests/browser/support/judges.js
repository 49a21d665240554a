// The judges of a page: two accessibility engines, an HTML validator, checks of typography and of
// widths. Each returns what it found, in words; nothing found is an empty list.

import { readFile } from "node:fs/promises";
import { createRequire } from "node:module";

import { HtmlValidate, StaticConfigLoader } from "html-validate";

import htmlRules from "./html-rules.js";

const criteria = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "RGAAv4", "best-practice"];

/** The source of an engine that runs in the page. */
const source = (path) => readFile(createRequire(import.meta.url).resolve(path), "utf8");
const axeSource = source("axe-core/axe.min.js");
const equalAccessSource = source("accessibility-checker-engine/ace.js");

/** Puts an engine into the page, once for as long as the page stays. */
async function bring(page, name, text) {
  if (!(await page.evaluate((name) => typeof globalThis[name] === "object", name))) await page.evaluate(`${await text}; globalThis.${name} = ${name};`);
}

/**
 * axe-core: WCAG 2.2 A and AA, the RGAA's tests, good practice. Only some rules where the others
 * cannot change their mind. Our pages have no frames, so its wrapper for Playwright, which opens a
 * second page for each answer, is not needed.
 */
export async function axe(page, rules) {
  await bring(page, "axe", axeSource);
  const runOnly = rules ? { type: "rule", values: rules } : { type: "tag", values: criteria };
  const { passes, violations } = await page.evaluate(async (runOnly) => {
    const { passes, violations } = await globalThis.axe.run(document, { runOnly, resultTypes: ["violations"] });
    return {
      passes: passes.length,
      violations: violations.map(({ id, help, nodes }) => `axe ${id} (${help}): ${nodes.map((node) => node.html).join(" | ")}`),
    };
  }, runOnly);
  return !rules && passes < 10 ? ["axe: it looked at nothing"] : violations;
}

/** The rules that depend on colours. */
export const colourRules = ["color-contrast", "link-in-text-block"];

/**
 * The second engine, of IBM's Equal Access checker, by its rules for WCAG 2.2. It also asks people
 * to look at things (« potential violations »); those are not counted.
 */
export async function equalAccess(page) {
  await bring(page, "ace", equalAccessSource);
  const results = await page.evaluate(async () => {
    const { results } = await new globalThis.ace.Checker().check(document, ["WCAG_2_2"]);
    const isFolded = (where) => Boolean(document.evaluate(where, document, null, 9).singleNodeValue?.closest?.("details:not([open])"));
    return results.map(({ ruleId, value, message, snippet, path }) => {
      return { ruleId, value, message, snippet, where: path.dom, folded: isFolded(path.dom) };
    });
  });
  if (results.length < 10) return ["equal access: it looked at nothing"];
  return results
    .filter(({ value }) => value[0] === "VIOLATION" && value[1] === "FAIL")
    .filter((result) => !isKnownMistake(result))
    .map(({ ruleId, message, snippet, where }) => `equal access ${ruleId}: ${message} ${snippet} at ${where}`);
}

/**
 * A form without a name is no landmark (HTML-AAM), so there is nothing to tell apart. The engine
 * reports fields of closed folds as fields without a label; an open fold is a state of its own.
 */
function isKnownMistake({ ruleId, snippet, folded }) {
  return (ruleId === "aria_form_label_unique" && !/aria-label/.test(snippet)) || (ruleId === "input_label_exists" && folded);
}

const validator = new HtmlValidate(new StaticConfigLoader(htmlRules));

/** The HTML as the portal sent it. */
export async function html(text) {
  const { results } = await validator.validateString(text);
  return results.flatMap(({ messages }) =>
    messages.map(({ ruleId, message, line, selector }) => `html ${ruleId}: ${message} (line ${line}, ${selector})`),
  );
}

/** French typography in all texts that people read, except code, addresses and typed texts. */
export async function typography(page, least = 10) {
  const texts = await page.evaluate(() => {
    const foreign = "code, pre, script, style, output, [translate=no], textarea";
    const texts = [""];
    // One text a block, over all that stands in its lines.
    function read(element) {
      for (const node of element.childNodes) {
        if (node.nodeType === Node.TEXT_NODE) texts[texts.length - 1] += node.data;
        else if (node.nodeType !== Node.ELEMENT_NODE) continue;
        else if (node.matches(foreign)) texts[texts.length - 1] += "x";
        else if (getComputedStyle(node).display.startsWith("inline") && !node.matches("select, button")) read(node);
        else texts.push(""), read(node), texts.push("");
      }
    }
    read(document.body);
    texts.push(document.title);
    for (const name of ["aria-label", "title", "alt", "placeholder", "data-copied"]) {
      for (const element of document.querySelectorAll(`[${name}]`)) texts.push(element.getAttribute(name));
    }
    return texts.map((text) => text.replace(/[ \n\t]+/g, " ").replace(/^ | $/g, "")).filter(Boolean);
  });
  if (texts.length < least) return ["typography: it read nothing"];
  return texts.flatMap((text) => mistakes(text).map((mistake) => `typography: ${mistake} in « ${text} »`));
}

/** The mistakes of one text. */
export function mistakes(text) {
  const said = text.replace(/\S*(:\/\/|@)\S*/g, "adresse").replace(/\d+:\d+/g, "heure");
  const found = [];
  const forbid = (pattern, what) => pattern.test(said) && found.push(what);
  forbid(/'/, "a straight apostrophe");
  forbid(/"/, "a straight quotation mark");
  forbid(/\.\.\./, "three full stops for an ellipsis");
  forbid(/«(?!\u202f)/, "« without a narrow no-break space after it");
  forbid(/(?<!\u202f)»/, "» without a narrow no-break space before it");
  forbid(/(?<![\u202f?!])[;?!]/, "; ? or ! without a narrow no-break space before it");
  // An address of version 6 has colons too.
  forbid(/(?<![\u00a0:\p{Hex_Digit}]):|(?<=\p{Hex_Digit}):(?= |$)/u, ": without a no-break space before it");
  forbid(/ [:;?!»]|« | %/, "a space that may break a line before a mark");
  forbid(/\d h \d/, "an hour that may break");
  return found;
}

/** WCAG 1.4.10: nothing to scroll sideways at this width. */
export async function width(page, what) {
  return page.evaluate((what) => {
    const room = document.documentElement.clientWidth;
    const dialog = document.querySelector("dialog[open]");
    const tooWide = [];
    if (document.documentElement.scrollWidth > room) {
      const wide = [...document.body.querySelectorAll("*")].filter((element) => element.getBoundingClientRect().right > room + 1);
      tooWide.push(`${what}: ${document.documentElement.scrollWidth} px in ${room}: ${wide.slice(0, 3).map((element) => element.outerHTML.slice(0, 120)).join(" | ")}`);
    }
    if (dialog && dialog.scrollWidth > dialog.clientWidth) tooWide.push(`${what}: the dialog scrolls sideways`);
    return tooWide;
  }, what);
}

/**
 * WCAG 1.4.12: nothing is pushed out of the page or cut where people space their text. The page is
 * as before afterwards.
 */
export async function spacing(page, what) {
  await page.evaluate(() => {
    const sheet = new CSSStyleSheet();
    sheet.replaceSync("* { line-height: 1.5 !important; letter-spacing: 0.12em !important; word-spacing: 0.16em !important } p { margin-block-end: 2em !important }");
    document.adoptedStyleSheets = [sheet];
  });
  const found = await width(page, what);
  const cut = await page.evaluate((what) => {
    const isCut = (element) => {
      const style = getComputedStyle(element);
      return style.overflowX !== "visible" && style.clipPath === "none" && element.scrollWidth > element.clientWidth + 1;
    };
    const boxes = [...document.querySelectorAll(".button, .badge, th, td, dd, p, legend, label, h1, h2, h3")];
    return boxes.filter((element) => element.checkVisibility() && isCut(element)).map((element) => `${what}: ${element.outerHTML.slice(0, 120)} is cut`);
  }, what);
  await page.evaluate(() => (document.adoptedStyleSheets = []));
  return [...found, ...cut];
}

/** Windows of a desktop and of a telephone, and how far down the main button may begin. */
const firstScreens = [
  { width: 1280, height: 900, most: 720 },
  { width: 390, height: 844, most: 900 },
];

/**
 * What the page is for comes first: its main button, the first that looks like one, begins in the
 * first screen. The button of a longer form stays in sight at the bottom instead, whole and with
 * nothing over it. A page without such a button is for reading. The window is as before afterwards.
 */
export async function mainButton(page) {
  const found = [];
  for (const { width, height, most } of firstScreens) {
    await page.setViewportSize({ width, height });
    const button = await page.evaluate(() => {
      const within = document.querySelector("dialog[open]") ?? document.querySelector("main");
      const buttons = [...within.querySelectorAll(".button:not(.button-secondary, .button-quiet, .button-danger-quiet, .button-small)")];
      const first = buttons.find((button) => button.checkVisibility());
      if (!first) return null;
      const { left, top, bottom } = first.getBoundingClientRect();
      const isStuck = Boolean(first.closest(".actions")) && getComputedStyle(first.closest(".actions")).position === "sticky";
      const isSeen = bottom <= innerHeight && first.contains(document.elementFromPoint(left + 8, (top + bottom) / 2));
      return { text: first.textContent.trim(), top: Math.round(top + (within.matches("dialog") ? 0 : scrollY)), stays: isStuck && isSeen };
    });
    if (button && button.top > most && !button.stays) found.push(`${width} × ${height}: « ${button.text} » begins at ${button.top} px, below ${most}`);
  }
  await page.setViewportSize({ width: 1280, height: 900 });
  return found;
}

/** Forced colours remove backgrounds: shapes must have a border. */
export async function borders(page) {
  return page.evaluate(() => {
    const shapes = ".button, .badge, .notice, .callout, .input, dialog[open], .error-summary, .pagination [aria-current]";
    const isSeen = (element) => element.checkVisibility() && !element.classList.contains("button-quiet");
    const hasBorder = (element) => {
      const style = getComputedStyle(element);
      return ["Top", "Right", "Bottom", "Left"].some((side) => parseFloat(style[`border${side}Width`]) > 0 && style[`border${side}Style`] !== "none");
    };
    return [...document.querySelectorAll(shapes)]
      .filter((element) => isSeen(element) && !hasBorder(element))
      .map((element) => `forced colours: nothing shows the shape of ${element.outerHTML.slice(0, 120)}`);
  });
}

/**
 * The findings of all judges about a page and its HTML `text`. The page is as before afterwards.
 */
export async function judge(page, text) {
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
  found.push(...(await spacing(page, "spaced text")));
  for (const px of [1000, 640]) {
    await page.setViewportSize({ width: px, height: 640 });
    found.push(...(await width(page, `${px} px`)));
  }
  await page.setViewportSize({ width: 320, height: 640 });
  found.push(...(await width(page, "320 px")), ...(await spacing(page, "spaced text in 320 px")), ...(await axe(page)).map((text) => `320 px: ${text}`));
  await page.setViewportSize({ width: 1280, height: 900 });
  return found;
}
