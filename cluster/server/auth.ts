/** Who may ask: API keys in the `Authorization` header, by the scopes of routes. */
import { timingSafeEqual } from "node:crypto";
import { VarveError } from "varve";
import type { Clock } from "varve";
import { hasScope, hasWorkspace, KeyChecker, openKeys } from "varve/serving";
import type { ApiKey, KeyRefusal, KeyRing, KeyScope, Places } from "varve/serving";

/** How keys are followed. */
export interface AuthenticatorOptions {
  readonly ring: KeyRing;
  /** The workspace that is served. */
  readonly workspace: string;
  /** Keys end by it: the computer's clock, also where features are read as of another time. */
  readonly clock: Clock;
  /** Told what went wrong in the background; keys that are known go on. */
  readonly onProblem?: (error: unknown) => void;
  /** How often new and revoked keys are looked for. @default 1000 */
  readonly pollMs?: number;
}

/** What a connection was answered for. */
interface Accepted {
  readonly header: Buffer;
  /** As long, to compare another header with it. */
  readonly given: Buffer;
  readonly key: ApiKey;
  readonly until: bigint | undefined;
  /** Another one is asked when keys change. */
  readonly checker: KeyChecker;
}

/** Why a request is refused; a label of the metrics. */
export type AuthRefusal = "absent" | "malformed" | KeyRefusal | "scope" | "workspace";

/** Follows the keys of a store. */
export class Authenticator {
  readonly #options: AuthenticatorOptions;
  readonly #stop: () => void;
  readonly #now: () => bigint;
  readonly #accepted = new WeakMap<object, Accepted>();
  #checker: KeyChecker;

  /** `ring.state()` must have been read. */
  constructor(options: AuthenticatorOptions) {
    const { ring, clock, onProblem, pollMs = 1_000 } = options;
    this.#options = options;
    this.#now = () => clock.now();
    this.#checker = new KeyChecker(ring.cached.keys.values());
    this.#stop = ring.watch((state) => this.#checker = new KeyChecker(state.keys.values()), {
      pollMs,
      ...(onProblem && { onError: onProblem }),
    });
  }

  /** How many keys may be used now. */
  get liveKeys(): number {
    return [...this.#options.ring.cached.keys.values()].filter((key) => key.revokedAt === undefined).length;
  }

  /**
   * The key of a request, by its `Authorization` header; UNAUTHENTICATED or FORBIDDEN says why it is refused. What was accepted
   * on a connection before is not hashed again, while keys stay as they are and it has not ended.
   */
  authenticate(header: string | undefined, scope: KeyScope, connection?: object): ApiKey {
    const known = connection && this.#accepted.get(connection);
    const key = known && this.#stillHolds(known, header) ? known.key : this.#keyOf(header, connection);
    if (hasScope(key, scope)) return key;
    throw forbidden("scope", key, `it has scope ${key.scopes.join(", ")}, and this takes ${scope}`, { scope });
  }

  #stillHolds({ checker, header, given, until }: Accepted, text: string | undefined): boolean {
    if (checker !== this.#checker || text?.length !== header.length) return false;
    if (until !== undefined && this.#now() >= until) return false;
    given.write(text, "latin1");
    return timingSafeEqual(header, given);
  }

  #keyOf(header: string | undefined, connection?: object): ApiKey {
    if (header === undefined || header === "") throw refused("absent", absent);
    const text = /^(?:bearer|tecton-key) +(\S{1,256}) *$/i.exec(header)?.[1];
    if (text === undefined) throw refused("malformed", malformed);
    const verdict = this.#checker.check(text, this.#now);
    if (verdict.refusal !== undefined) throw refused(verdict.refusal, refusalText(verdict.refusal, verdict.key));
    const { key, until } = verdict;
    const { workspace } = this.#options;
    if (hasWorkspace(key, workspace)) {
      const bytes = Buffer.from(header, "latin1");
      const accepted = { key, until, checker: this.#checker, header: bytes, given: Buffer.from(bytes) };
      if (connection) this.#accepted.set(connection, accepted);
      return key;
    }
    throw forbidden("workspace", key, `it is not for workspace "${workspace}"`, { workspace });
  }

  /** Whether a header has a key for this workspace, whatever it may do. */
  accepts(header: string | undefined): boolean {
    try {
      this.#keyOf(header);
      return true;
    } catch {
      return false;
    }
  }

  /** Stops following. */
  stop(): void {
    this.#stop();
  }
}

/** An authenticator, and how to let go of it. */
export interface OpenedAuthenticator {
  readonly auth: Authenticator;
  close(): Promise<void>;
}

/** Opens the keys beside a workspace's store, and keeps up with them; `close()` it. */
export async function openAuthenticator(
  places: Places,
  options: Omit<AuthenticatorOptions, "ring">,
): Promise<OpenedAuthenticator> {
  const keys = openKeys({ ...places, author: "server", clock: options.clock });
  try {
    await keys.ring.state();
  } catch (error) {
    await keys.close();
    throw error;
  }
  const auth = new Authenticator({ ...options, ring: keys.ring });
  return {
    auth,
    async close() {
      auth.stop();
      await keys.close();
    },
  };
}

const wayOut = "`varve keys create NAME` makes one";
const absent = `Cannot answer without an API key: send "Authorization: Bearer KEY"; ${wayOut}`;
const malformed =
  'Cannot read the Authorization header: write it as "Authorization: Bearer KEY" or "Authorization: Tecton-key KEY"';

/** Whoever has the secret is told about the key; nobody else is. */
function refusalText(refusal: KeyRefusal, key: ApiKey | undefined): string {
  const named = key && `API key "${key.name}" (${key.id})`;
  switch (refusal) {
    case "unknown":
      return `Cannot accept the API key: there is none like it; see that it was copied whole; ${wayOut}`;
    case "expired":
      return `Cannot accept ${named}: it expired at ${key?.expiresAt}; \`varve keys rotate ${key?.name} --expires 90d\` renews it`;
    case "revoked":
      return `Cannot accept ${named}: it was revoked at ${key?.revokedAt}; ${wayOut}`;
    case "rotated":
      return `Cannot accept ${named}: it was rotated at ${key?.rotatedAt}, and the time in which the old text was accepted too is over; use the new one`;
  }
}

function refused(reason: AuthRefusal, text: string): VarveError {
  return new VarveError("UNAUTHENTICATED", text, { details: { reason } });
}

function forbidden(reason: AuthRefusal, key: ApiKey, why: string, details: Readonly<Record<string, string>>) {
  return new VarveError(
    "FORBIDDEN",
    `Cannot do this with API key "${key.name}" (${key.id}): ${why}; create a key that may`,
    { details: { reason, ...details } },
  );
}

/** The reason in an error of an {@link Authenticator}; undefined for other errors. */
export function authRefusal(error: unknown): AuthRefusal | undefined {
  if (!(error instanceof VarveError) || (error.code !== "UNAUTHENTICATED" && error.code !== "FORBIDDEN")) return;
  return error.details["reason"] as AuthRefusal | undefined;
}
