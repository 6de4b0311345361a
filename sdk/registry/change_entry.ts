/** One entry of the registry's log as bytes, and back with every doubt removed. */
import { VarveError } from "../errors.ts";
import type { Action, Change } from "./state.ts";

/** The format that this version of varve writes; it reads this one and older ones. */
export const changeFormat = 1;

/** Throws when an action of the entry at this key is torn or of a newer varve. */
export type CheckAction = (action: unknown, key: string) => void;

/** The folder of a log: a workspace's, or that of another owner whose name cannot be a workspace's. */
export function logFolder(owner: string): string {
  return `${owner}/registry/`;
}

/** The key of one entry. */
export function logKey(owner: string, revision: number): string {
  return `${logFolder(owner)}${String(revision).padStart(20, "0")}.json`;
}

/** The revision that a key of the log holds; undefined for other objects. */
export function revisionOfKey(key: string): number | undefined {
  const match = /\/registry\/(\d{20})\.json$/.exec(key);
  return match ? Number(match[1]) : undefined;
}

/** The bytes of an entry. */
export function encodeChange(change: Change<unknown>): string {
  return `${JSON.stringify(change)}\n`;
}

/** Reads an entry: torn or strange bytes are CORRUPT, a newer format is UNSUPPORTED. */
export function parseChange<A>(bytes: Uint8Array, key: string, revision: number, check: CheckAction): Change<A> {
  let value: unknown;
  try {
    value = JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(bytes));
  } catch (cause) {
    throw corrupt(key, "it is not JSON", cause);
  }
  if (!isRecord(value)) throw corrupt(key, "it is not an object");
  if (typeof value["format"] !== "number" || !Number.isInteger(value["format"]) || value["format"] < 1) {
    throw corrupt(key, "it has no format number");
  }
  if (value["format"] > changeFormat) {
    throw newer(key, `format ${value["format"]}, this one reads up to ${changeFormat}`);
  }
  if (value["revision"] !== revision) throw corrupt(key, `it says revision ${JSON.stringify(value["revision"])}`);
  for (const name of ["id", "author", "at", "reason"]) {
    if (typeof value[name] !== "string") throw corrupt(key, `"${name}" is missing`);
  }
  const actions = value["actions"];
  if (!Array.isArray(actions)) throw corrupt(key, `"actions" is missing`);
  for (const action of actions) check(action, key);
  return deepFreeze(value) as unknown as Change<A>;
}

const fieldsByKind: Readonly<
  Record<Action["kind"], Readonly<Record<string, "string" | "number" | "definition" | "version">>>
> = {
  putEntity: { entity: "definition" },
  deleteEntity: { name: "string" },
  addVersion: { version: "version" },
  updateVersion: { view: "string", version: "number", definition: "definition" },
  serve: { view: "string", version: "number" },
  deleteVersion: { view: "string", version: "number" },
  deleteView: { name: "string" },
  putRealtimeView: { version: "version" },
  deleteRealtimeView: { name: "string" },
  putService: { service: "definition" },
  deleteService: { name: "string" },
};

/** {@link CheckAction} for the actions of a workspace's registry. */
export function checkAction(action: unknown, key: string): void {
  if (!isRecord(action) || typeof action["kind"] !== "string") throw corrupt(key, "an action has no kind");
  if (!Object.hasOwn(fieldsByKind, action["kind"])) {
    throw newer(key, `action "${action["kind"]}" is not known to this one`);
  }
  const fields = fieldsByKind[action["kind"] as Action["kind"]];
  for (const [name, type] of Object.entries(fields)) {
    const value = action[name];
    const where = `"${name}" of action "${action["kind"]}"`;
    if (type === "string") {
      if (typeof value !== "string") throw corrupt(key, `${where} is not text`);
    } else if (type === "number") {
      if (typeof value !== "number") throw corrupt(key, `${where} is not a number`);
    } else if (type === "definition") {
      checkDefinition(value, where, key);
    } else {
      if (!isRecord(value) || typeof value["version"] !== "number") throw corrupt(key, `${where} is not a version`);
      checkDefinition(value["definition"], where, key);
    }
  }
}

function checkDefinition(value: unknown, where: string, key: string): void {
  if (!isRecord(value) || typeof value["name"] !== "string") throw corrupt(key, `${where} is not a definition`);
  const compute = isRecord(value["compute"]) ? value["compute"]["kind"] : undefined;
  const known = ["entity", "service"].includes(String(value["kind"])) ||
    (value["kind"] === "view" && ["attributes", "aggregates"].includes(String(value["mode"]))) ||
    (value["kind"] === "realtimeView" && ["expressions", "function"].includes(String(compute)));
  if (!known) {
    const what = [value["mode"], value["kind"], compute && `computed by ${compute}`].filter(Boolean).join(" ");
    throw newer(key, `${where} is a ${what}, not known to this one`);
  }
}

/** The error of an entry whose bytes are wrong. */
export function corrupt(key: string, state: string, cause?: unknown): VarveError {
  return new VarveError(
    "CORRUPT",
    `Cannot read registry entry "${key}": ${state}; restore the object from a backup, entries are never rewritten`,
    { cause, details: { key } },
  );
}

/** The error of an entry that only a newer varve can read. */
export function newer(key: string, what: string): VarveError {
  return new VarveError(
    "UNSUPPORTED",
    `Cannot read registry entry "${key}": it was written by a newer varve (${what}); upgrade this one`,
    { details: { key } },
  );
}

/** Whether a value is a JSON object. */
export function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function deepFreeze<T>(value: T): T {
  if (typeof value === "object" && value !== null && !Object.isFrozen(value)) {
    for (const part of Object.values(value)) deepFreeze(part);
    Object.freeze(value);
  }
  return value;
}
