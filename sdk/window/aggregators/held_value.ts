/** One value of a state, or none. */
import { type DataType, isFloatType } from "../../schema.ts";
import type { Slot, States } from "../aggregator.ts";

/** Reads and writes one value of states. */
export interface HeldValue {
  /** Its columns. Numbers and times are in typed ones, beside an int32 that says whether there is a value. */
  readonly slots: readonly Slot[];
  /** Whether there is a value. */
  has(states: States, i: number): boolean;
  /** The value; only where there is one. */
  read(states: States, i: number): unknown;
  write(states: States, i: number, value: unknown): void;
  clear(states: States, i: number): void;
}

/** How a value of a type is held in columns from `at` on. */
export function heldValue(name: string, type: DataType, at = 0): HeldValue {
  const typed = typedSlot(type);
  if (typed === undefined) {
    const column = (states: States) => states[at] as unknown[];
    return {
      slots: [{ name, type }],
      has: (states, i) => column(states)[i] !== null,
      read: (states, i) => column(states)[i],
      write: (states, i, value) => {
        column(states)[i] = value;
      },
      clear: (states, i) => {
        column(states)[i] = null;
      },
    };
  }
  const flags = (states: States) => states[at] as Int32Array;
  const values = (states: States) => states[at + 1] as unknown[];
  const nothing = typed === "int64" ? 0n : 0;
  return {
    slots: [{ name: `has${name[0]!.toUpperCase()}${name.slice(1)}`, type: "int32" }, { name, type: typed }],
    has: (states, i) => flags(states)[i] !== 0,
    read: (states, i) => values(states)[i],
    write: (states, i, value) => {
      flags(states)[i] = 1;
      values(states)[i] = value;
    },
    clear: (states, i) => {
      flags(states)[i] = 0;
      values(states)[i] = nothing;
    },
  };
}

/** The typed column that holds a type in the same form as rows do. */
function typedSlot(type: DataType): "float64" | "int32" | "int64" | undefined {
  if (isFloatType(type)) return "float64";
  if (type === "int32" || type === "date") return "int32";
  return type === "int64" || type === "timestamp" || type === "duration" ? "int64" : undefined;
}
