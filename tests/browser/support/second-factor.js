// The second factor: an application that makes codes, and the pages that ask for them.

import { createHmac } from "node:crypto";

/** The code of this key (RFC 6238), `steps` of 30 seconds from now. */
export function code(key, steps = 0) {
  const bits = [...key].map((letter) => "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567".indexOf(letter).toString(2).padStart(5, "0")).join("");
  const secret = Buffer.from(bits.match(/.{8}/g).map((byte) => parseInt(byte, 2)));
  const counter = Buffer.alloc(8);
  counter.writeBigUInt64BE(BigInt(Math.floor(Date.now() / 30_000) + steps));
  const digest = createHmac("sha1", secret).update(counter).digest();
  const number = digest.readUInt32BE(digest[19] & 15) & 0x7fffffff;
  return String(number % 1_000_000).padStart(6, "0");
}

export const secondFactorPage = "/mon-compte/double-authentification";
/** Where codes are typed: to set the second factor up, and to sign in. */
export const codeField = ({ page }) => page.getByLabel("Code de vérification");
export const qrCode = ({ page }) => page.getByRole("img", { name: "QR code de la clé affichée ci-dessous" });

/** Begins to set a second factor up. Returns the key. */
export async function beginSecondFactor(visitor) {
  await visitor.press("Activer la double authentification");
  return shownKey(visitor);
}

/** The key on the page that sets a second factor up. */
export async function shownKey(visitor) {
  const key = await visitor.page.locator("#cle").textContent();
  visitor.portal.remember(key);
  return key;
}

/** Confirms the key with its first code. */
export async function confirmKey(visitor, text) {
  await codeField(visitor).fill(text);
  await visitor.press("Vérifier et activer");
}

/** Types a code where the sign-in asks for one. */
export async function giveCode(visitor, text) {
  await codeField(visitor).fill(text);
  await visitor.press("Vérifier le code");
}
