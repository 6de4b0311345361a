/** The API keys of a store: created, rotated and revoked in a log beside the registries, by the rules of theirs. */
import { VarveError } from "../errors.ts";
import type { ObjectStore } from "../storage/object_store.ts";
import { type Clock, type Duration, durationToMicros, formatTimestamp, type Micros, toMicros } from "../time.ts";
import {
  type ApiKey,
  checkKeyName,
  checkScopes,
  checkWorkspaces,
  type KeyScope,
  newKeyId,
  newKeyText,
} from "./api_key.ts";
import { ChangeLog, type WatchOptions } from "./change_log.ts";
import { checkKeyAction, foldKeys, type KeyAction, keysOwner, type KeysState, noKeys } from "./key_changes.ts";

/** What a key ring is opened with. */
export interface KeyRingOptions {
  /** Where the log is kept. */
  readonly store: ObjectStore;
  /** Who creates, rotates and revokes. */
  readonly author: string;
  /** Says when; the computer's clock, as a key's end is a matter of today. */
  readonly clock: Clock;
}

/** A key as it is wanted. */
export interface NewKey {
  /** For people; unique among keys that are not revoked. */
  readonly name: string;
  /** What it may do. @default ["read"] */
  readonly scopes?: readonly KeyScope[];
  /** Where it may do it. */
  readonly workspaces: "all" | readonly string[];
  /** How long it is accepted. @default for ever */
  readonly expiresIn?: Duration;
  /** Requests a second that a server answers it. @default what the server is set to */
  readonly ratePerSecond?: number;
}

/** How a key is rotated. */
export interface RotateOptions {
  /** How long the text that was valid until now still is. `"0s"`: not at all. @default "24h" */
  readonly overlap?: Duration;
  /** Moves the key's end to this far from now. @default it stays */
  readonly expiresIn?: Duration;
}

/** A key with its text, which is told this once. */
export interface KeyWithText {
  /** What is stored of it. */
  readonly key: ApiKey;
  /** What clients send. */
  readonly text: string;
}

const defaultOverlap = "24h";
const longestOverlap = "90d";
const longestLife = "36500d";
/** More keys than people and programs: somebody creates them in a loop. */
const maxKeys = 10_000;
/** More texts of one key that are valid at once. */
const maxSecrets = 8;

/** See the file's sentence. */
export class KeyRing {
  readonly #log: ChangeLog<KeyAction, KeysState>;
  readonly #clock: Clock;

  /** Opens the keys of a store; nothing is read or written yet. */
  constructor({ store, author, clock }: KeyRingOptions) {
    this.#clock = clock;
    this.#log = new ChangeLog<KeyAction, KeysState>({
      store,
      author,
      clock,
      owner: keysOwner,
      title: "the API keys",
      checkAction: checkKeyAction,
      empty: noKeys,
      fold: foldKeys,
    });
  }

  /** The keys as they were read last, without asking the store. */
  get cached(): KeysState {
    return this.#log.cached;
  }

  /** The newest keys. Costs one look for the next entry when nothing has changed. */
  state(signal?: AbortSignal): Promise<KeysState> {
    return this.#log.state(signal);
  }

  /** Creates a key. CONFLICT when there is one of this name. */
  async create(wanted: NewKey): Promise<KeyWithText> {
    const { name, scopes = ["read"], workspaces, expiresIn, ratePerSecond } = wanted;
    checkKeyName(name);
    checkScopes(scopes);
    checkWorkspaces(workspaces);
    if (ratePerSecond !== undefined && !(ratePerSecond > 0 && ratePerSecond <= 1e6)) {
      throw new VarveError(
        "INVALID_REQUEST",
        `Cannot create key "${name}" with ${ratePerSecond} requests a second: give a number above 0, up to 1000000`,
      );
    }
    const id = newKeyId();
    const { text, hash } = newKeyText(id);
    const action: KeyAction = {
      kind: "createKey",
      id,
      name,
      scopes: [...new Set(scopes)],
      workspaces: workspaces === "all" ? workspaces : [...new Set(workspaces)],
      ...(ratePerSecond === undefined ? {} : { ratePerSecond }),
      ...(expiresIn === undefined ? {} : { expiresAt: formatTimestamp(this.#after(expiresIn, "--expires")) }),
      hash,
    };
    await this.#log.append(({ keys }) => {
      const same = liveNamed(keys, name);
      if (same) {
        throw new VarveError(
          "CONFLICT",
          `Cannot create key "${name}": ${same.author} created one of this name at ${same.createdAt} (${same.id}); rotate or revoke it, or take another name`,
          { details: { id: same.id, name } },
        );
      }
      if (live(keys).length >= maxKeys) {
        throw new VarveError("EXHAUSTED", `Cannot create key "${name}": there are ${maxKeys}; revoke some`);
      }
      return [action];
    }, { reason: `create key ${name}` });
    return { key: this.cached.keys.get(id)!, text };
  }

  /** Gives a key, by id or name, a new text; the old one is accepted a while longer. */
  async rotate(reference: string, options: RotateOptions = {}): Promise<KeyWithText> {
    const { overlap = defaultOverlap, expiresIn } = options;
    const now = this.#clock.now();
    const overlapMicros = durationToMicros(overlap, "--overlap", { allowZero: true });
    if (overlapMicros > durationToMicros(longestOverlap)) {
      throw new VarveError(
        "INVALID_REQUEST",
        `Cannot rotate key "${reference}" with an overlap of ${overlap}: it is ${longestOverlap} at most`,
      );
    }
    const expiresAt = expiresIn === undefined
      ? {}
      : { expiresAt: formatTimestamp(this.#after(expiresIn, "--expires")) };
    const { id } = find((await this.state()).keys, reference, "rotate");
    const { text, hash } = newKeyText(id);
    await this.#log.append(({ keys }) => {
      const key = find(keys, id, "rotate");
      if (key.expiresAt !== undefined && toMicros(key.expiresAt) <= now && expiresIn === undefined) {
        throw new VarveError(
          "CONFLICT",
          `Cannot rotate key "${key.name}": it expired at ${key.expiresAt}; rotate it with a new --expires, or create another`,
          { details: { id, name: key.name } },
        );
      }
      const valid = key.secrets.filter(({ validUntil }) => validUntil === undefined || toMicros(validUntil) > now);
      if (valid.length >= maxSecrets) {
        throw new VarveError(
          "CONFLICT",
          `Cannot rotate key "${key.name}": ${valid.length} texts of it are valid now; wait until one is over, or revoke it and create another`,
          { details: { id, name: key.name } },
        );
      }
      return [{ kind: "rotateKey", id, hash, oldValidUntil: formatTimestamp(now + overlapMicros), ...expiresAt }];
    }, { reason: `rotate key ${reference}` });
    return { key: this.cached.keys.get(id)!, text };
  }

  /** Ends a key, by id or name, at once and for good. */
  async revoke(reference: string): Promise<ApiKey> {
    const { id } = find((await this.state()).keys, reference, "revoke");
    await this.#log.append(({ keys }) => [{ kind: "revokeKey", id: find(keys, id, "revoke").id }], {
      reason: `revoke key ${reference}`,
    });
    return this.cached.keys.get(id)!;
  }

  /** Calls the listener for every change that comes, until the returned function stops it. Does not keep a process alive. */
  watch(listener: (state: KeysState) => void, options: WatchOptions = {}): () => void {
    return this.#log.watch(listener, options);
  }

  #after(duration: Duration, what: string): Micros {
    const micros = durationToMicros(duration, what);
    if (micros <= durationToMicros(longestLife)) return this.#clock.now() + micros;
    throw new VarveError(
      "INVALID_REQUEST",
      `Cannot use ${duration} as ${what}: it is ${longestLife} at most; leave it out for a key without an end`,
    );
  }
}

function live(keys: KeysState["keys"]): ApiKey[] {
  return [...keys.values()].filter((key) => key.revokedAt === undefined);
}

function liveNamed(keys: KeysState["keys"], name: string): ApiKey | undefined {
  return live(keys).find((key) => key.name === name);
}

/** A key that is not revoked, by id or name. */
function find(keys: KeysState["keys"], reference: string, verb: string): ApiKey {
  const key = keys.get(reference) ?? liveNamed(keys, reference);
  if (key?.revokedAt !== undefined) {
    throw new VarveError(
      "CONFLICT",
      `Cannot ${verb} key "${key.name}" (${key.id}): it was revoked at ${key.revokedAt}`,
    );
  }
  if (key) return key;
  // Whoever passes a whole key by mistake must not find it in a log.
  const shown = JSON.stringify(reference.startsWith("vk_") ? "vk_…" : reference.slice(0, 80));
  const names = live(keys).map((each) => each.name);
  const some = names.length > 20 ? [...names.slice(0, 20), `${names.length - 20} more`] : names;
  throw new VarveError(
    "NOT_FOUND",
    `Cannot ${verb} key ${shown}: there is none; keys are ${some.join(", ") || "none"}`,
  );
}
