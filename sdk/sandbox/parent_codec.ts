/** The codec on the side of whoever asks: instants are the SDK's own. */
import { VarveError } from "../errors.ts";
import type { Row } from "../schema.ts";
import { Timestamp, timestampLimits } from "../time.ts";
import { type Codec, makeCodec, type WrongValue } from "./codec.ts";
import type { PublishedFunction } from "./published_function.ts";

/** Makes the codec of this side. */
export function parentCodec(): Codec {
  return makeCodec({
    timestampOf: (micros) => new Timestamp(micros),
    microsOf: (value) => {
      const micros = value instanceof Timestamp ? value.micros : value instanceof Date ? microsOfDate(value) : value;
      if (typeof micros !== "bigint") return undefined;
      return micros >= timestampLimits.min && micros <= timestampLimits.max ? micros : undefined;
    },
  });
}

function microsOfDate(value: Date): bigint | undefined {
  const ms = value.getTime();
  return Number.isNaN(ms) ? undefined : BigInt(ms) * 1000n;
}

/** The bytes of input rows; a row that is not of the input schema is the caller's mistake. */
export function encodeInput(
  codec: Codec,
  fn: PublishedFunction,
  rows: readonly Row[],
  from: number,
  head: number,
): Uint8Array<ArrayBuffer> {
  try {
    return codec.encode(fn.input, rows, head);
  } catch (error) {
    const { row, field, problem } = wrongValue(error);
    throw new VarveError("INVALID_REQUEST", `Cannot run ${fn.name}: field "${field}" of row ${row + from} ${problem}`, {
      details: { function: fn.name, row: row + from, field },
    });
  }
}

/** What the codec threw, when it was about a value. */
export function wrongValue(error: unknown): WrongValue {
  const { row, field, problem } = (error ?? {}) as Partial<WrongValue>;
  if (typeof row === "number" && typeof field === "string" && typeof problem === "string") {
    return { row, field, problem };
  }
  throw error;
}
