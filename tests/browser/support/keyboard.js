// Somebody who has a keyboard and nothing else, and who must see at each step where she is.

import assert from "node:assert/strict";

export class Keyboard {
  constructor(visitor) {
    Object.assign(this, { visitor, page: visitor.page, keys: visitor.page.keyboard });
  }

  /** What has the focus, as it calls itself: `body` on a page where nothing has it yet. */
  async focus() {
    return this.page.evaluate(() => {
      const element = document.activeElement;
      if (element === document.body) return "body";
      const text = element.getAttribute("aria-label") ?? element.labels?.[0]?.textContent ?? element.textContent;
      return text.replace(/\s+/g, " ").trim();
    });
  }

  async hasFocus(name) {
    assert.equal(await this.focus(), name, "what has the focus");
  }

  /** Presses a key and sees that the page that comes begins at its beginning. */
  async opens(key, title) {
    await this.keys.press(key);
    await this.visitor.seesTitle(title);
    await this.page.waitForLoadState();
    await this.hasFocus("body");
  }

  async tab(key = "Tab") {
    await this.#remember();
    await this.keys.press(key);
    return this.focus();
  }

  /** Goes to a control by `key`, and sees that it has the focus, that this can be seen and that nothing covers it. */
  async tabTo(name, key = "Tab") {
    const passed = [];
    for (let presses = 0; presses < 150; presses++) {
      const focus = await this.tab(key);
      if (focus === name) return this.isSeen(name);
      passed.push(focus);
    }
    assert.fail(`« ${name} » cannot be reached; these can: ${passed.join(" | ")}`);
  }

  /** WCAG 2.4.7 and 2.4.11: the focused control looks other than it did without the focus, and is in sight. */
  async isSeen(name) {
    const faults = await this.page.evaluate(() => {
      const element = document.activeElement;
      const faults = [];
      if (globalThis.lookOf(element) === globalThis.unfocused.get(element)) faults.push("looks as it does without the focus");
      const [box] = element.getClientRects();
      const above = document.elementFromPoint(box.x + box.width / 2, box.y + box.height / 2);
      if (!above || !(element.contains(above) || above.contains(element))) faults.push("is covered or out of sight");
      return faults;
    });
    assert.deepEqual(faults, [], `« ${name} » has the focus, and…`);
  }

  /** How everything looks that may get the focus, while it has not. */
  async #remember() {
    await this.page.evaluate(() => {
      globalThis.unfocused ??= new WeakMap();
      globalThis.lookOf ??= (element) => {
        const style = getComputedStyle(element);
        const outline = style.outlineStyle === "none" ? "none" : `${style.outlineStyle} ${style.outlineWidth} ${style.outlineColor}`;
        return [outline, style.boxShadow, style.borderColor, style.backgroundColor].join("; ");
      };
      for (const element of document.querySelectorAll("a, button, input, select, textarea, [tabindex]")) {
        if (element !== document.activeElement) globalThis.unfocused.set(element, globalThis.lookOf(element));
      }
    });
  }
}
