/** Names for requests, that lead from an answer to the log. */
import { randomFillSync } from "node:crypto";

/** Random bytes of the next ids: asking for a few at a time costs more than all the rest. */
const random = Buffer.allocUnsafeSlow(16 * 256);
let used = random.length;
const digits = Buffer.from("0123456789abcdef");
const text = Buffer.from("........-....-4...-....-............");

/** A random UUID of version 4. In one piece, unlike Node's own, which every reader of it would have to put together first. */
export function newRequestId(): string {
  if (used === random.length) {
    randomFillSync(random);
    used = 0;
  }
  for (let at = 0, i = 0; at < 36; at++) {
    if (at === 8 || at === 13 || at === 18 || at === 23 || at === 14) continue;
    const byte = random[used + (i >> 1)]!;
    text[at] = digits[(i++ & 1) === 0 ? byte >> 4 : byte & 15]!;
  }
  // The variant: two bits of the first digit of the fourth group.
  text[19] = digits[8 | (random[used + 15]! >> 6)]!;
  used += 16;
  return text.toString("latin1");
}
