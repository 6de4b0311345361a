/** How much of a batch a value is. */
import type { DataType } from "../schema.ts";

/**
 * About how many bytes a value takes on its way, from its type and without encoding it: batches are cut by it. A value
 * that is not of its type weighs something, too: the codec says what is wrong with it. Its own text is sent to the sandbox:
 * it may use nothing from outside.
 */
export function weigh(type: DataType, value: unknown): number {
  if (typeof value === "string") return 8 + value.length;
  if (typeof type === "string") return value instanceof Uint8Array ? 8 + value.length : 8;
  let bytes = 8;
  if ("list" in type) {
    const list = (Array.isArray(value) || ArrayBuffer.isView(value) ? value : []) as ArrayLike<unknown>;
    for (let i = 0; i < list.length; i += 1) bytes += weigh(type.list, list[i]);
    return bytes;
  }
  // The parts of a struct that is null take room as well.
  const parts = (typeof value === "object" && value !== null ? value : {}) as Readonly<Record<string, unknown>>;
  for (const part of type.struct) bytes += weigh(part.type, parts[part.name]);
  return bytes;
}
