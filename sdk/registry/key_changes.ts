/** The log of API keys: what its actions are, and the keys that they lead to. */
import type { ApiKey, KeyScope } from "./api_key.ts";
import { keyScopes } from "./api_key.ts";
import { corrupt, isRecord, newer } from "./change_entry.ts";
import { toMicros } from "../time.ts";
import type { Change } from "./state.ts";

/** Keys belong to no workspace: no workspace can have this name. */
export const keysOwner = "varve.keys";

/** One step of a change. Times and authors are those of the change. */
export type KeyAction =
  | {
    readonly kind: "createKey";
    readonly id: string;
    readonly name: string;
    readonly scopes: readonly KeyScope[];
    readonly workspaces: "all" | readonly string[];
    readonly ratePerSecond?: number;
    readonly expiresAt?: string;
    readonly hash: string;
  }
  /** A new secret; those before it are accepted until then. */
  | {
    readonly kind: "rotateKey";
    readonly id: string;
    readonly hash: string;
    readonly oldValidUntil: string;
    /** Where the key's end moves with it. */
    readonly expiresAt?: string;
  }
  | { readonly kind: "revokeKey"; readonly id: string };

/** All keys that there ever were. */
export interface KeysState {
  /** Number of the last change. */
  readonly revision: number;
  /** By id, in order of creation. */
  readonly keys: ReadonlyMap<string, ApiKey>;
}

/** Before the first key. */
export const noKeys: KeysState = Object.freeze({ revision: 0, keys: new Map<string, ApiKey>() });

/** The keys after one more change. Total: an action that fits no key changes nothing. */
export function foldKeys(state: KeysState, change: Change<KeyAction>): KeysState {
  const keys = new Map(state.keys);
  for (const action of change.actions) {
    const next = applied(keys.get(action.id), action, change);
    if (next) keys.set(action.id, Object.freeze(next));
  }
  return Object.freeze({ revision: change.revision, keys });
}

function applied(key: ApiKey | undefined, action: KeyAction, { author, at }: Change<KeyAction>): ApiKey | undefined {
  if (action.kind === "createKey") {
    const { kind: _, hash, ...given } = action;
    return { ...given, author, createdAt: at, secrets: [{ hash }] };
  }
  if (key === undefined) return undefined;
  if (action.kind === "revokeKey") return { ...key, revokedAt: key.revokedAt ?? at };
  const { hash, oldValidUntil, expiresAt = key.expiresAt } = action;
  const now = toMicros(at);
  const old = key.secrets
    .filter(({ validUntil }) => validUntil === undefined || toMicros(validUntil) > now)
    .map((secret) => ({ ...secret, validUntil: secret.validUntil ?? oldValidUntil }));
  return {
    ...key,
    rotatedAt: at,
    ...(expiresAt === undefined ? {} : { expiresAt }),
    secrets: [...old, { hash }],
  };
}

/** Throws unless a stored action is one that this varve knows, and whole. */
export function checkKeyAction(action: unknown, key: string): void {
  if (!isRecord(action) || typeof action["kind"] !== "string") throw corrupt(key, "an action has no kind");
  const { kind, id, hash, oldValidUntil, scopes, workspaces } = action;
  if (kind !== "createKey" && kind !== "rotateKey" && kind !== "revokeKey") {
    throw newer(key, `action "${kind}" is not known to this one`);
  }
  const need = (isFine: boolean, what: string) => {
    if (!isFine) throw corrupt(key, `"${what}" of action "${kind}" is wrong`);
  };
  need(typeof id === "string" && /^[0-9a-f]{12}$/.test(id), "id");
  if (kind === "revokeKey") return;
  need(typeof hash === "string" && /^[0-9a-f]{64}$/.test(hash), "hash");
  need(isOptionalInstant(action["expiresAt"]), "expiresAt");
  if (kind === "rotateKey") return need(isInstant(oldValidUntil), "oldValidUntil");
  need(typeof action["name"] === "string", "name");
  const rate = action["ratePerSecond"];
  need(rate === undefined || (typeof rate === "number" && rate > 0), "ratePerSecond");
  need(workspaces === "all" || isTexts(workspaces), "workspaces");
  need(isTexts(scopes), "scopes");
  const strange = (scopes as string[]).find((scope) => !(keyScopes as readonly string[]).includes(scope));
  if (strange !== undefined) throw newer(key, `scope "${strange}" is not known to this one`);
}

function isTexts(value: unknown): boolean {
  return Array.isArray(value) && value.every((item) => typeof item === "string");
}

function isInstant(value: unknown): boolean {
  if (typeof value !== "string") return false;
  try {
    toMicros(value);
    return true;
  } catch {
    return false;
  }
}

function isOptionalInstant(value: unknown): boolean {
  return value === undefined || isInstant(value);
}
