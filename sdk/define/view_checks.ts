/** Every check of a view's definition, wherever it comes from: a builder, a file, another process. */
import { type Issue, messageOf } from "../errors.ts";
import { schemaOf } from "../frame/query_schema.ts";
import { columnNames, findField, formatType, sameType, type Schema } from "../schema.ts";
import { alignDown, durationToMicros, formatDuration, toMicros } from "../time.ts";
import { aggregateIssues } from "./aggregate_checks.ts";
import { columnIssues, defaultIssues, descriptiveIssues, entityIssues, nameIssues, twinIssues } from "./checks.ts";
import type { AttributeView, ViewDefinition } from "./definitions.ts";
import { type TimeColumn, traceTimestamp } from "./event_time.ts";
import { queryIssues } from "./query_checks.ts";

const minute = 60_000_000n;
const day = 86_400_000_000n;

/** The shortest and longest slice. */
export const scheduleLimits: { readonly min: bigint; readonly max: bigint } = { min: minute, max: 366n * day };

/** The most slices that every schedule may run again. */
export const maxLookback = 1_000;

/** Every problem of a view. Its durations and instants may be unreadable; its shape is right. */
export function viewIssues(view: ViewDefinition): Issue[] {
  const issues: Issue[] = [
    ...nameIssues(view.name),
    ...entityIssues(view.entity).map((issue) => ({ path: `entity.${issue.path}`, message: issue.message })),
    ...descriptiveIssues(view),
    ...timeIssues(view),
  ];
  let schema: Schema;
  try {
    schema = schemaOf(view.query);
  } catch (error) {
    return [...issues, { path: "query", message: messageOf(error) }];
  }
  return [
    ...issues,
    ...queryIssues(view.query),
    ...columnsIssues(view, schema),
    ...(view.mode === "aggregates" ? aggregateIssues(view, schema) : featureIssues(view, schema)),
  ];
}

function timeIssues(view: ViewDefinition): Issue[] {
  const issues: Issue[] = [];
  const read = (path: string, parse: () => bigint): bigint | undefined => {
    try {
      return parse();
    } catch (error) {
      issues.push({ path, message: messageOf(error) });
      return undefined;
    }
  };
  const schedule = read("schedule", () => durationToMicros(view.schedule, "schedule"));
  if (schedule !== undefined && (schedule < scheduleLimits.min || schedule > scheduleLimits.max)) {
    issues.push({
      path: "schedule",
      message: `${view.schedule} is not between ${formatDuration(scheduleLimits.min)} and ${
        formatDuration(scheduleLimits.max)
      }`,
    });
  }
  read("dataDelay", () => durationToMicros(view.dataDelay, "dataDelay", { allowZero: true }));
  if (view.ttl !== "forever") read("ttl", () => durationToMicros(view.ttl, "ttl"));
  const start = read("start", () => toMicros(view.start));
  const end = view.end === undefined ? undefined : read("end", () => toMicros(view.end!));
  if (start !== undefined && end !== undefined && end <= start) {
    issues.push({ path: "end", message: `${view.end} is not after the start, ${view.start}` });
  }
  for (const [path, instant] of [["start", start], ["end", end]] as const) {
    if (instant !== undefined && schedule !== undefined && alignDown(instant, schedule) !== instant) {
      issues.push({
        path,
        message: `${
          view[path]
        } is not a boundary of the schedule, ${view.schedule}; boundaries count from 1970-01-01T00:00:00Z`,
      });
    }
  }
  if (!Number.isInteger(view.lookback) || view.lookback < 0 || view.lookback > maxLookback) {
    issues.push({ path: "lookback", message: `${view.lookback} is not a number of slices from 0 to ${maxLookback}` });
  }
  return issues;
}

function columnsIssues(view: ViewDefinition, schema: Schema): Issue[] {
  const issues: Issue[] = [];
  for (const key of view.entity.joinKeys) {
    const type = findField(schema, key.name)?.type;
    const path = `entity.${key.name}`;
    if (type === undefined) {
      issues.push({
        path,
        message: `the query has no column "${key.name}"; columns are ${columnNames(schema).join(", ")}`,
      });
    } else if (!sameType(type, key.type)) {
      issues.push({
        path,
        message:
          `column "${key.name}" is ${formatType(type)}, the join key is ${formatType(key.type)}; cast the column: ` +
          `.derive({ ${key.name}: col("${key.name}").cast("${formatType(key.type)}") })`,
      });
    }
  }
  const trace = traceTimestamp(view.query, "eventTimestamp");
  if ("problem" in trace) {
    issues.push({ path: "eventTimestamp", message: trace.problem });
  } else {
    issues.push(...roundingIssues(view, trace.columns));
  }
  for (const path of ["eventTimestamp", "writtenTimestamp"] as const) {
    const name = view[path];
    if (name === undefined) continue;
    const type = findField(schema, name)?.type;
    if (type === undefined) {
      issues.push({
        path,
        message: `the query has no column "${name}"; columns are ${columnNames(schema).join(", ")}`,
      });
    } else if (type !== "timestamp") {
      issues.push({ path, message: `column "${name}" is ${formatType(type)}, not timestamp; cast it` });
    }
    if (view.entity.joinKeys.some((key) => key.name === name)) {
      issues.push({ path, message: `column "${name}" is a join key` });
    }
  }
  return issues;
}

/** A rounded event timestamp must stay in the slice of its row. */
function roundingIssues(view: ViewDefinition, columns: readonly TimeColumn[]): Issue[] {
  const path = "eventTimestamp";
  const column = columns.find((each) => each.name === view.eventTimestamp);
  if (!column) {
    const names = columns.map((each) => each.name).join(", ");
    return [{
      path,
      message: `column "${view.eventTimestamp}" does not hold the source's event timestamp, which is in ${names}`,
    }];
  }
  try {
    if (durationToMicros(view.schedule) % column.rounding === 0n) return [];
  } catch {
    return []; // told as a problem of the schedule
  }
  const rounding = formatDuration(column.rounding);
  return [{
    path,
    message:
      `column "${column.name}" is rounded to ${rounding}, of which the schedule, ${view.schedule}, is not a multiple; use a longer schedule`,
  }];
}

function featureIssues(view: AttributeView, schema: Schema): Issue[] {
  if (view.features.length === 0) {
    return [{
      path: "features",
      message: `there are none: every column is a join key or a time; columns are ${columnNames(schema).join(", ")}`,
    }];
  }
  const taken = new Map<string, string>(view.entity.joinKeys.map((key) => [key.name, "a join key"]));
  taken.set(view.eventTimestamp, "the event timestamp");
  if (view.writtenTimestamp !== undefined) taken.set(view.writtenTimestamp, "the written timestamp");
  const issues = twinIssues(view.features.map((feature) => feature.name), "features");
  for (const feature of view.features) {
    const path = `features.${feature.name}`;
    const type = findField(schema, feature.name)?.type;
    issues.push(...columnIssues(feature.name, path));
    if (taken.has(feature.name)) issues.push({ path, message: `it is ${taken.get(feature.name)}` });
    else if (type === undefined) {
      const columns = columnNames(schema).filter((name) => !taken.has(name));
      issues.push({
        path,
        message: `the query has no such column; those that can be features are ${columns.join(", ")}`,
      });
    } else if (!sameType(type, feature.type)) {
      issues.push({ path, message: `it is ${formatType(feature.type)}, the query gives ${formatType(type)}` });
    }
    issues.push(...defaultIssues(feature, path));
  }
  return issues;
}
