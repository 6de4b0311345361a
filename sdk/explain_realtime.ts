/** Why a feature of a realtime view is what it is: its expression, and what it was computed of. */
import { columnsOfFeature, realtimeSchema } from "./define/realtime_checks.ts";
import { computedText } from "./define/realtime_text.ts";
import { rowValue, userValue } from "./engine/value_form.ts";
import { requestTimeColumn } from "./frame/expr_node.ts";
import { featureOf } from "./retrieve/feature_read.ts";
import { realtimeComputer } from "./retrieve/realtime_compute.ts";
import type { ComputedRead } from "./retrieve/stored_reads.ts";
import type { FunctionRuns } from "./sandbox/runner_options.ts";
import type { DataType, Field, Row } from "./schema.ts";
import type { Micros } from "./time.ts";

/** A computed feature, explained but for where its inputs come from. */
export interface ExplainedComputation {
  readonly feature: string;
  readonly view: string;
  readonly version: number;
  readonly value: unknown;
  /** What it is computed by. */
  readonly computed: string;
  /** What the expression reads: its name there, its value, and where it comes from. */
  readonly inputs: readonly { readonly name: string; readonly value: unknown; readonly from: string }[];
}

/** Explains the features of one realtime view. `looked` holds what was looked up, `fields` what the request gives in row form. */
export async function explainedComputations(
  { read, inputs }: ComputedRead,
  { looked, fields, at, nameOf, functions }: {
    readonly looked: Row;
    readonly fields: Row;
    readonly at: Micros;
    /** What an input is called in the explanation, by its column among what was looked up. */
    readonly nameOf: (column: string) => string;
    readonly functions: FunctionRuns;
  },
): Promise<ExplainedComputation[]> {
  const { definition, version, features } = read;
  const row: Row = { ...fields, [requestTimeColumn]: at };
  for (const { name, type, column } of inputs) row[name] = rowValue(looked[column], type);
  const [values] = await realtimeComputer(definition, functions).compute([row], () => "the request");
  const types = new Map<string, DataType>(realtimeSchema(definition).map(({ name, type }) => [name, type]));
  const places = new Map(inputs.map(({ name, column }) => [name, nameOf(column)]));
  const shown = (name: string) => ({
    name: name === requestTimeColumn ? "requestTimestamp()" : name,
    value: userValue(row[name], types.get(name)!),
    from: places.get(name) ?? "the request",
  });
  return features.map(({ feature, as }) => ({
    feature: as,
    view: definition.name,
    version,
    value: userValue(
      values![definition.features.findIndex(({ name }) => name === feature)],
      featureOf(read, feature).type,
    ),
    computed: computedText(definition, feature),
    inputs: columnsOfFeature(definition, feature).map(shown),
  }));
}

/** A value that may have come as text, from a command line. */
export function givenValue(value: unknown, { type }: Field): unknown {
  if (typeof value !== "string") return value;
  if (type === "boolean" && (value === "true" || value === "false")) return value === "true";
  if (type === "float32" || type === "float64") {
    const number = value.trim() === "" ? NaN : Number(value);
    return Number.isNaN(number) && value !== "NaN" ? value : number;
  }
  if (!/^-?[0-9]{1,19}$/.test(value)) return value;
  return type === "int64" || type === "duration" ? BigInt(value) : type === "int32" ? Number(value) : value;
}
