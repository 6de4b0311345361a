/** Writes answers in Feast's dialect: the place where they are turned into JSON. */
import { formatTimestamp } from "varve";
import type { DataType, Field, Timestamp } from "varve";
import type { Answer, AnswerStatus, ServedFeature, ServiceReader } from "varve/serving";

type TextOf = (value: unknown) => string;

/** What a reader's answers consist of; made once per reader. */
interface Column {
  readonly feature: ServedFeature;
  readonly index: number;
  readonly textOf: TextOf;
}

const columnsByReader = new WeakMap<ServiceReader, readonly Column[]>();

export interface FeastOptions {
  /** Names as `view__feature`. */
  readonly fullNames: boolean;
  /** Tell versions of views. */
  readonly versions: boolean;
}

/** Where there is no time. */
const noTime = '"1970-01-01T00:00:00Z"';

/** The answer's body: one result per name, the join keys first, as they were given. */
export function onlineFeatures(
  reader: ServiceReader,
  entities: Readonly<Record<string, readonly unknown[]>>,
  answers: readonly Answer[],
  options: FeastOptions,
): string {
  const keys = Object.keys(entities);
  const columns = columnsOf(reader);
  const names = [...keys, ...columns.map(({ feature }) => nameOf(feature, options.fullNames))];
  const types = new Map(reader.joinKeys.map((key): [string, Field["type"]] => [key.name, key.type]));
  const results = [
    ...keys.map((key) => keyColumn(entities[key]!, types.get(key)!)),
    ...columns.map((column) => featureColumn(column, answers)),
  ];
  const versions = options.versions ? `,"feature_view_metadata":${versionsText(reader)}` : "";
  return `{"metadata":{"feature_names":${JSON.stringify(names)}${versions}},"results":[${results.join(",")}]}`;
}

/** The name of a feature in the answer. */
export function nameOf({ namespace, name }: ServedFeature, full: boolean): string {
  return full ? `${namespace}__${name}` : name;
}

function columnsOf(reader: ServiceReader): readonly Column[] {
  let columns = columnsByReader.get(reader);
  if (!columns) {
    columns = reader.features.map((feature, index) => ({ feature, index, textOf: valueText(feature.type) }));
    columnsByReader.set(reader, columns);
  }
  return columns;
}

function keyColumn(values: readonly unknown[], type: DataType): string {
  const isInteger = type === "int64" || type === "int32";
  const texts = values.map((value) => typeof value === "string" && isInteger ? String(BigInt(value)) : jsonText(value));
  const statuses = values.map((value) => value === null ? "NULL_VALUE" : "PRESENT");
  return result(texts, statuses, values.map(() => noTime));
}

function featureColumn({ index, textOf }: Column, answers: readonly Answer[]): string {
  return result(
    answers.map(({ values }) => textOf(values[index])),
    answers.map(({ values, statuses }) => statusOf(statuses[index]!, values[index])),
    answers.map(({ eventTimes }) => timeText(eventTimes[index])),
  );
}

function result(values: readonly string[], statuses: readonly string[], times: readonly string[]): string {
  return `{"values":[${values.join(",")}],"statuses":${JSON.stringify(statuses)},"event_timestamps":[${
    times.join(",")
  }]}`;
}

function statusOf(status: AnswerStatus, value: unknown): string {
  switch (status) {
    case "PRESENT":
      return value === null || value === undefined ? "NULL_VALUE" : "PRESENT";
    case "EXPIRED":
      return "OUTSIDE_MAX_AGE";
    case "MISSING":
    case "NULL_KEY":
    // Not asked for in this dialect, which has no word for it.
    case "TIME_OUT":
      return "NOT_FOUND";
  }
}

function timeText(micros: bigint | undefined): string {
  return micros === undefined ? noTime : `"${formatTimestamp(micros)}"`;
}

function versionsText(reader: ServiceReader): string {
  const versions = new Map(reader.features.map(({ namespace, version }) => [namespace, version]));
  return JSON.stringify([...versions].map(([name, version]) => ({ name, version })));
}

/** A function that writes values of this type as Feast's server does: whole numbers of 64 bits as they are, instants in seconds. */
function valueText(type: DataType): TextOf {
  const text = nonNullText(type);
  return (value) => value === null || value === undefined ? "null" : text(value);
}

function nonNullText(type: DataType): TextOf {
  if (typeof type === "object") {
    if ("list" in type) {
      const element = valueText(type.list);
      return (value) => `[${(value as readonly unknown[]).map(element).join(",")}]`;
    }
    const parts = type.struct.map((field) => ({
      name: field.name,
      start: `${JSON.stringify(field.name)}:`,
      textOf: valueText(field.type),
    }));
    return (value) =>
      `{${parts.map(({ name, start, textOf }) => start + textOf((value as Record<string, unknown>)[name])).join(",")}}`;
  }
  switch (type) {
    case "float32":
    case "float64":
      return (value) => floatText(value as number);
    case "int32":
    case "int64":
    case "duration":
    case "boolean":
      return String;
    case "timestamp":
      return (value) => String(wholeSeconds((value as Timestamp).micros));
    case "binary":
      return (value) => `"${Buffer.from(value as Uint8Array).toString("base64")}"`;
    case "string":
    case "date":
      return jsonText;
  }
}

/** Whole ones with a point, as Python writes them: its client takes a list of both forms for one of two types. */
function floatText(value: number): string {
  if (!Number.isFinite(value)) return `"${value}"`;
  const text = String(value);
  return Number.isInteger(value) && !text.includes("e") ? `${text}.0` : text;
}

/** Rounded down, also before 1970. */
function wholeSeconds(micros: bigint): bigint {
  const second = 1_000_000n;
  return (micros - ((micros % second) + second) % second) / second;
}

function jsonText(value: unknown): string {
  return JSON.stringify(value);
}
