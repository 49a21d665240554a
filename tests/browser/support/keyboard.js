// A visitor with a keyboard alone, who must see the focus at each step.

import assert from "node:assert/strict";

export class Keyboard {
  constructor(visitor) {
    Object.assign(this, { visitor, page: visitor.page, keys: visitor.page.keyboard });
  }

  /** The accessible name of the focused element; `body` on a page where none has the focus yet. */
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

  /** Presses a key and checks that the focus is at the beginning of the page that opens. */
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

  /** Goes to a control by `key`, and checks that its focus is visible. */
  async tabTo(name, key = "Tab") {
    const passed = [];
    for (let presses = 0; presses < 150; presses++) {
      const focus = await this.tab(key);
      if (focus === name) return this.isSeen(name);
      passed.push(focus);
    }
    assert.fail(`« ${name} » cannot be reached; these can: ${passed.join(" | ")}`);
  }

  /**
   * WCAG 2.4.7 and 2.4.11: the focused control looks different than without the focus, and is in
   * sight.
   */
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

  /** Keeps the look of all controls without the focus. */
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
