/**
 * Keys in Redis: `<collection>{<bucket>}<entity key>`. The bucket, 0..1023 as two characters, is the Cluster hash tag: it
 * depends on the entity key alone, so one entity's views share a slot, and keys of one bucket can share a command. Collection
 * names are unique in the server, so the workspace is not repeated in millions of keys.
 */
import type { Collection } from "./online_store.ts";

/** Bytes that a key has beside the collection's name and the entity key. */
export const keyOverhead = 4;

const digits = Buffer.from("0123456789abcdefghijklmnopqrstuv");

/** The bucket of an entity key. */
export function bucketOf(key: Uint8Array, start = 0, end: number = key.length): number {
  let hash = 0x811c9dc5;
  for (let i = start; i < end; i++) hash = Math.imul(hash ^ key[i]!, 0x01000193);
  return (hash ^ (hash >>> 10) ^ (hash >>> 20)) & 1023;
}

/** Writes a key at a place of a buffer that has the room; gives the place after it. */
export function putKey(
  target: Buffer,
  at: number,
  collection: Collection,
  key: Uint8Array,
  start: number,
  end: number,
): number {
  for (let i = 0; i < collection.length; i++) target[at++] = collection.charCodeAt(i);
  const bucket = bucketOf(key, start, end);
  target[at++] = 0x7b;
  target[at++] = digits[bucket >> 5]!;
  target[at++] = digits[bucket & 31]!;
  target[at++] = 0x7d;
  for (let i = start; i < end; i++) target[at++] = key[i]!;
  return at;
}

/** One whole key. */
export function redisKey(collection: Collection, key: Uint8Array): Buffer {
  const bytes = Buffer.allocUnsafe(collection.length + keyOverhead + key.length);
  putKey(bytes, 0, collection, key, 0, key.length);
  return bytes;
}

/** The pattern of all keys of a collection. */
export function collectionPattern(collection: Collection): string {
  return `${collection}{*`;
}

/** Keys that control a workspace; their tag keeps them in one slot. */
export function controlKeys(workspace: string): { states: string; epoch: string; collections: string } {
  return { states: `varve:{${workspace}}:states`, epoch: "varve:epoch", collections: "varve:collections" };
}
