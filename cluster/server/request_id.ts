/** Names for requests, that lead from an answer to the log. */
import { randomBytes } from "node:crypto";

/** Of this process: no other one has the same. Drawing anew for every request would cost more than all the rest of it. */
const drawn = `${randomBytes(12).toString("hex")}-`;
let count = 0;

/** A name that no other request has, here or elsewhere. */
export function newRequestId(): string {
  return drawn + (count++).toString(36);
}
