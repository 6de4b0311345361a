/** Keys of requests as the audit log sees them: which of them are logged, and what stands for them there. */
import { createHmac, randomBytes } from "node:crypto";
import type { Field } from "../schema.ts";
import { encodeKey } from "../storage/encoding.ts";
import type { ObjectStore } from "../storage/object_store.ts";
import { saltKey } from "./layout.ts";

/** The join keys of a request by structure (S8), whatever form they were given in; nulls are told apart from all values. */
export function requestKey(joinKeys: readonly Field[], request: Readonly<Record<string, unknown>>): Uint8Array {
  const present = joinKeys.filter(({ name }) => request[name] !== null);
  const key = encodeKey(present, present.map(({ name }) => request[name]))!;
  if (present.length === joinKeys.length) return key;
  const nulls = joinKeys.filter((field) => !present.includes(field)).map(({ name }) => name);
  return Buffer.concat([Buffer.from(`\0null:${nulls.join(",")}\0`), key]);
}

/** Says of a key whether it is among the share that is logged: always the same, in every process. */
export function sampler(service: string, share: number): (key: Uint8Array) => boolean {
  const limit = share * 2 ** 32;
  const start = mixed(2_166_136_261, Buffer.from(service));
  return (key) => spread(mixed(start, key)) < limit;
}

/** FNV-1a, 32 bits. */
function mixed(hash: number, bytes: Uint8Array): number {
  for (let i = 0; i < bytes.length; i++) hash = Math.imul(hash ^ bytes[i]!, 16_777_619);
  return hash;
}

/** Lets every bit depend on all others: keys that follow each other differ in the last ones only. */
function spread(hash: number): number {
  hash = Math.imul(hash ^ hash >>> 16, 0x85eb_ca6b);
  hash = Math.imul(hash ^ hash >>> 13, 0xc2b2_ae35);
  return (hash ^ hash >>> 16) >>> 0;
}

/** What stands for a key: the same in every service and process of a workspace, and nothing without its salt. */
export function keyHash(salt: Uint8Array, key: Uint8Array): string {
  return createHmac("sha256", salt).update(key).digest("hex");
}

/** The salt of a workspace; whoever needs it first makes it. */
export async function workspaceSalt(store: ObjectStore, workspace: string, signal?: AbortSignal): Promise<Uint8Array> {
  const key = saltKey(workspace);
  const found = await store.find(key, signal);
  if (found) return found;
  await store.putIfAbsent(key, randomBytes(32), signal);
  return await store.get(key, signal);
}
