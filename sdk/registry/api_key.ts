/**
 * API keys: how their text is made and read, and what is stored of them. A secret is 256 random bits, so one SHA-256 is as good as
 * a slow hash: there is nothing to guess.
 */
import { hash as oneShotHash, randomBytes, timingSafeEqual } from "node:crypto";
import { VarveError } from "../errors.ts";
import { nameProblem } from "../schema.ts";
import { toMicros } from "../time.ts";

/** What a key may be allowed to do. */
export const keyScopes = ["read", "ingest", "publish", "admin"] as const;

/**
 * `read`: ask for features. `ingest`: push records. `publish`: change definitions and run jobs. `admin`: everything, keys
 * included.
 */
export type KeyScope = (typeof keyScopes)[number];

/** A secret of a key, as it is stored. */
export interface KeySecret {
  /** SHA-256 of the secret, in hex. */
  readonly hash: string;
  /** Until when it is accepted after a newer one took its place, as ISO text; absent for the newest. */
  readonly validUntil?: string;
}

/** What is known of a key; its text is known to whoever created it and nobody else. */
export interface ApiKey {
  /** The part of its text that is no secret: in logs and metrics. */
  readonly id: string;
  /** For people; unique among keys that are not revoked. */
  readonly name: string;
  /** What it may do. */
  readonly scopes: readonly KeyScope[];
  /** Where it may do it. */
  readonly workspaces: "all" | readonly string[];
  /** Requests a second that a server answers it, where the key has its own rate. */
  readonly ratePerSecond?: number;
  /** Who created it. */
  readonly author: string;
  /** When, as ISO text. */
  readonly createdAt: string;
  /** When it got its newest secret, if it was ever rotated. */
  readonly rotatedAt?: string;
  /** From when on it is refused. */
  readonly expiresAt?: string;
  /** When it was revoked. */
  readonly revokedAt?: string;
  /** The newest one last. */
  readonly secrets: readonly KeySecret[];
}

/** Why a text is refused. `unknown` also stands for a wrong secret of a key that there is. */
export type KeyRefusal = "unknown" | "expired" | "revoked" | "rotated";

/** What became of a text: the key it is of, or why it is refused; a refusal names the key only to who knows its secret. */
export type KeyVerdict =
  /** It holds until this time, in micros, or until keys change. */
  | { readonly key: ApiKey; readonly until: bigint | undefined; readonly refusal?: undefined }
  | { readonly key?: ApiKey; readonly refusal: KeyRefusal };

/** `vk_`, the id, `_` and the secret: texts of other lengths are none of ours. What the secret is made of its hash decides. */
const textLength = 3 + 12 + 1 + 64;

/** A new id: not a secret, but hard to meet by chance. */
export function newKeyId(): string {
  return randomBytes(6).toString("hex");
}

/** A key's text with a new secret, and the hash that is stored of it. */
export function newKeyText(id: string): { readonly text: string; readonly hash: string } {
  const secret = randomBytes(32).toString("hex");
  return { text: `vk_${id}_${secret}`, hash: hashOf(secret).toString("hex") };
}

/** In one call: an object that hashes piece by piece costs as much again as the hash. */
function hashOf(secret: string): Buffer {
  return oneShotHash("sha256", secret, "buffer");
}

/** Tells which of some keys a text is of. Made once per state of the keys; a check costs one SHA-256. */
export class KeyChecker {
  readonly #keys: ReadonlyMap<string, CheckedKey>;

  /** Makes one for these keys. */
  constructor(keys: Iterable<ApiKey>) {
    this.#keys = new Map([...keys].map((key) => [key.id, checkedKey(key)]));
  }

  /** Which key the text is of; `now` gives the time in micros, asked only where a time matters. */
  check(text: string, now: () => bigint): KeyVerdict {
    if (text.length !== textLength || !text.startsWith("vk_") || text[15] !== "_") return unknown;
    const found = this.#keys.get(text.slice(3, 15));
    if (found === undefined) return unknown;
    const secret = secretOf(found, hashOf(text.slice(16)));
    if (secret === undefined) return unknown;
    const { key, expiresAt } = found;
    if (key.revokedAt !== undefined) return { key, refusal: "revoked" };
    if (expiresAt !== undefined && now() >= expiresAt) return { key, refusal: "expired" };
    if (secret.validUntil !== undefined && now() >= secret.validUntil) return { key, refusal: "rotated" };
    return secret.accepted;
  }
}

/** The newest is the likeliest. Every one is compared in constant time. */
function secretOf({ secrets }: CheckedKey, hash: Buffer): CheckedSecret | undefined {
  for (const secret of secrets) if (timingSafeEqual(secret.hash, hash)) return secret;
  return undefined;
}

const unknown: KeyVerdict = { refusal: "unknown" };

interface CheckedKey {
  readonly key: ApiKey;
  readonly expiresAt: bigint | undefined;
  /** The newest first. */
  readonly secrets: readonly CheckedSecret[];
}

interface CheckedSecret {
  readonly hash: Buffer;
  readonly validUntil: bigint | undefined;
  readonly accepted: KeyVerdict;
}

function checkedKey(key: ApiKey): CheckedKey {
  const expiresAt = optionalMicros(key.expiresAt);
  const secrets = key.secrets.map((secret): CheckedSecret => {
    const validUntil = optionalMicros(secret.validUntil);
    const until = [expiresAt, validUntil].reduce((a, b) => a === undefined || (b !== undefined && b < a) ? b : a);
    return { hash: Buffer.from(secret.hash, "hex"), validUntil, accepted: Object.freeze({ key, until }) };
  });
  return { key, expiresAt, secrets: secrets.reverse() };
}

function optionalMicros(text: string | undefined): bigint | undefined {
  return text === undefined ? undefined : toMicros(text);
}

/** Whether a key may do something; `admin` may do everything. */
export function hasScope(key: Pick<ApiKey, "scopes">, scope: KeyScope): boolean {
  return key.scopes.includes(scope) || key.scopes.includes("admin");
}

/** Whether a key may be used in a workspace. */
export function hasWorkspace(key: Pick<ApiKey, "workspaces">, workspace: string): boolean {
  return key.workspaces === "all" || key.workspaces.includes(workspace);
}

/** How many characters a key's name may have: it is a label in metrics and a column in lists. */
const maxNameLength = 64;

/** Throws INVALID_REQUEST unless a key can be named like this. */
export function checkKeyName(name: string): void {
  // What looks like an id would be taken for one.
  if (/^(?![0-9a-f]{12}$)[A-Za-z][A-Za-z0-9._@-]*$/.test(name) && name.length <= maxNameLength) return;
  throw new VarveError(
    "INVALID_REQUEST",
    `Cannot name a key ${
      JSON.stringify(name.slice(0, 80))
    }: names start with an ASCII letter, hold ASCII letters, digits and ._@-, have at most ${maxNameLength} characters, and are no id of a key`,
  );
}

/** Throws INVALID_REQUEST unless these are scopes, at least one. */
export function checkScopes(scopes: readonly string[]): asserts scopes is readonly KeyScope[] {
  const strange = scopes.filter((scope) => !(keyScopes as readonly string[]).includes(scope));
  if (scopes.length > 0 && strange.length === 0) return;
  const what = scopes.length === 0 ? "no scope is given" : `${strange.join(", ")} is no scope`;
  throw new VarveError("INVALID_REQUEST", `Cannot create the key: ${what}; scopes are ${keyScopes.join(", ")}`);
}

/** Throws INVALID_REQUEST unless these can be workspaces, at least one. They need not exist yet. */
export function checkWorkspaces(workspaces: "all" | readonly string[]): void {
  if (workspaces === "all") return;
  if (workspaces.length === 0) {
    throw new VarveError("INVALID_REQUEST", "Cannot create the key: no workspace is given; name one, or all");
  }
  for (const name of workspaces) {
    const problem = nameProblem(name);
    if (problem === undefined) continue;
    throw new VarveError("INVALID_REQUEST", `Cannot create the key for workspace ${JSON.stringify(name)}: ${problem}`);
  }
}
