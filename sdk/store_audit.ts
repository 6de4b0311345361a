/**
 * Checks what was served, by the audit log: every answer is computed again from the offline tables, as of its request's time and
 * from the very commits that were loaded then (S11), and compared. Unlike `skew` it looks at what clients got.
 */
import { auditParts, auditRows, type LoggedRow } from "./audit/log_reader.ts";
import type { AuditedComputation, AuditedRead, AuditShape } from "./audit/served_rows.ts";
import { type AuditReport, Tally } from "./audit_report.ts";
import type { ViewDefinition } from "./define/definitions.ts";
import { realtimeSchema } from "./define/realtime_checks.ts";
import { rowValue, userValue } from "./engine/value_form.ts";
import { checkOptions, messageOf, type OptionNames, VarveError } from "./errors.ts";
import { requestTimeColumn } from "./frame/expr_node.ts";
import type { RegistryState } from "./registry/state.ts";
import { type FeatureRead, keyColumns, timing } from "./retrieve/feature_read.ts";
import { realtimeComputer } from "./retrieve/realtime_compute.ts";
import { floatTolerance, sameValue } from "./retrieve/same_value.ts";
import { isHidden } from "./retrieve/stored_reads.ts";
import { rebuildTrainingSet } from "./retrieve/training.ts";
import type { Row } from "./schema.ts";
import type { StoreParts } from "./store_parts.ts";
import { namesLike } from "./text.ts";
import { formatTimestamp, type Micros, Timestamp, type TimestampLike, toMicros } from "./time.ts";

/** Which requests are checked. */
export interface AuditOptions {
  /** Requests from this instant on. @default a day before `to` */
  readonly from?: TimestampLike;
  /** Requests before this instant. @default now */
  readonly to?: TimestampLike;
  /** The newest so many of them. @default 100,000 */
  readonly limit?: number;
  /** Stops it. */
  readonly signal?: AbortSignal;
}

const auditOptions: OptionNames<AuditOptions> = { from: true, to: true, limit: true, signal: true };

const dayMicros = 86_400_000_000n;
const usualRows = 100_000;
const maxRows = 1_000_000;
/** A column that no join key can be confused with. */
const timeColumn = "varve_audit_at";

/** Checks the logged answers of a service. */
export async function audit(parts: StoreParts, service: string, options: AuditOptions = {}): Promise<AuditReport> {
  checkOptions(`Cannot check the answers of service "${service}"`, options, auditOptions);
  const { limit = usualRows, signal } = options;
  if (!Number.isSafeInteger(limit) || limit < 1 || limit > maxRows) {
    throw new VarveError("INVALID_REQUEST", `Cannot check ${limit} answers: give a limit from 1 to ${maxRows}`);
  }
  const end = options.to === undefined ? parts.clock.now() + 1n : instant(options.to);
  const range = { start: options.from === undefined ? end - dayMicros : instant(options.from), end };
  if (range.end <= range.start) {
    throw new VarveError(
      "INVALID_REQUEST",
      "Cannot check the audit log: the range is empty; its end comes after its start",
    );
  }
  const state = await parts.registry.state();
  const found = await auditParts(parts.objects, { workspace: parts.workspace, service, range }, signal);
  if (found.size === 0) throw nothingLogged(state, service, range);
  const tally = new Tally();
  let rows = 0;
  let more = false;
  const session = await (await parts.engine()).session();
  try {
    for (const group of [...found.values()].reverse()) {
      // One more tells whether there are more.
      const logged = await auditRows(session, parts.objects, group, { range, limit: limit - rows + 1 }, signal);
      if (!logged) continue;
      const checked = logged.rows.slice(0, limit - rows);
      more ||= checked.length < logged.rows.length;
      rows += checked.length;
      await new ShapeAudit(parts, state, logged.shape, tally, signal).check(checked);
      if (rows === limit) break;
    }
  } finally {
    session.close();
  }
  return {
    service,
    from: formatTimestamp(range.start),
    to: formatTimestamp(range.end),
    rows,
    more,
    ...tally.result(),
  };
}

function instant(value: TimestampLike): Micros {
  try {
    return toMicros(value);
  } catch (error) {
    throw new VarveError("INVALID_REQUEST", messageOf(error), { cause: error });
  }
}

function nothingLogged(state: RegistryState, service: string, range: { start: Micros; end: Micros }): VarveError {
  const services = Object.keys(state.services);
  const why = services.includes(service)
    ? `nothing was logged from ${formatTimestamp(range.start)} to ${
      formatTimestamp(range.end)
    }; servers log a share of answers when VARVE_AUDIT_SHARE says so, and write them within a minute`
    : `there is no such service; services are ${namesLike(service, services)}`;
  return new VarveError("NOT_FOUND", `Cannot check the audit log of service ${JSON.stringify(service)}: ${why}`, {
    details: { service },
  });
}

/** Checks answers of one shape. */
class ShapeAudit {
  readonly #parts: StoreParts;
  readonly #state: RegistryState;
  readonly #shape: AuditShape;
  readonly #tally: Tally;
  readonly #signal: AbortSignal | undefined;

  constructor(
    parts: StoreParts,
    state: RegistryState,
    shape: AuditShape,
    tally: Tally,
    signal: AbortSignal | undefined,
  ) {
    this.#parts = parts;
    this.#state = state;
    this.#shape = shape;
    this.#tally = tally;
    this.#signal = signal;
  }

  async check(rows: readonly LoggedRow[]): Promise<void> {
    const { joinKeys, features, computed } = this.#shape;
    const asked = [...joinKeys, ...computed?.fields ?? []];
    const plain = rows.filter(({ keys, request }) => asked.length === 0 || keys !== undefined || request !== undefined);
    if (plain.length < rows.length) {
      const answered = features.length + (computed?.views.reduce((sum, view) => sum + view.features.length, 0) ?? 0);
      this.#tally.uncompared(
        (rows.length - plain.length) * answered,
        "keys are hashed; VARVE_AUDIT_KEYS=plain lets answers be computed again",
      );
    }
    for (const read of this.#shape.reads) await this.#checkView(read, plain);
    for (const each of this.#shape.computed?.views ?? []) await this.#checkComputed(each, plain);
  }

  /** What was computed of what was looked up, and of what the request gave, is computed again: by the version that did so. */
  async #checkComputed(
    { view, version, features, inputs }: AuditedComputation,
    rows: readonly LoggedRow[],
  ): Promise<void> {
    const definition = this.#state.realtimeViews[view]?.versions.find((each) => each.version === version)?.definition;
    if (!definition) {
      this.#tally.uncompared(rows.length * features.length, `realtime view "${view}" version ${version} is gone`);
      return;
    }
    const types = new Map(realtimeSchema(definition).map(({ name, type }) => [name, type]));
    const columns = new Map(inputs.map(({ name, column }) => [name, column]));
    const given = rows.map(({ request, features: lookedUp, request_time: at }) => {
      const row: Row = { [requestTimeColumn]: at.micros };
      for (const { name } of definition.request) row[name] = rowValue(request?.[name], types.get(name)!);
      for (const { name } of definition.inputs) row[name] = rowValue(lookedUp[columns.get(name)!], types.get(name)!);
      return row;
    });
    const values = await realtimeComputer(definition, this.#parts.functions).compute(
      given,
      (r) => `the request at ${String(rows[r]!.request_time)}`,
    );
    for (const [r, row] of rows.entries()) {
      for (const { feature, as, type } of features) {
        const computed = userValue(values[r]![definition.features.findIndex(({ name }) => name === feature)], type);
        const served: unknown = row.computed![as];
        if (sameValue(served, computed, 0)) this.#tally.matched(as);
        else {
          this.#tally.differs("mismatches", {
            at: String(row.request_time),
            key: { ...row.keys, ...row.request },
            feature: as,
            served,
            offline: computed,
            status: "PRESENT",
          });
        }
      }
    }
  }

  async #checkView(read: AuditedRead, rows: readonly LoggedRow[]): Promise<void> {
    const { view, version, alias } = read;
    const definition = this.#state.views[view]?.versions.find((each) => each.version === version)?.definition;
    const missing = definition &&
      read.features.find(({ feature }) => !definition.features.some(({ name }) => name === feature));
    if (!definition || missing) {
      const what = missing ? `feature "${missing.feature}" of view` : "view";
      this.#tally.uncompared(rows.length * read.features.length, `${what} "${view}" version ${version} is gone`);
      return;
    }
    const whole = rows.filter(({ views }) => !views[alias]!.cut);
    if (whole.length < rows.length) {
      this.#tally.uncompared(
        (rows.length - whole.length) * read.features.length,
        `windows of view "${view}" reach back to more rows than are kept online (maxRows)`,
      );
    }
    const pinned = new Map<number, LoggedRow[]>();
    for (const row of whole) {
      const tableVersion = Number(row.views[alias]!.table_version ?? 0);
      const same = pinned.get(tableVersion);
      if (same) same.push(row);
      else pinned.set(tableVersion, [row]);
    }
    const { features, joinKeyMap } = read;
    const featureRead: FeatureRead = { alias, definition, version, features, joinKeyMap };
    const versions = [...pinned.keys()].sort((a, b) => a - b);
    for (const [i, tableVersion] of versions.entries()) {
      await this.#checkCommit(featureRead, [tableVersion, versions[i + 1]], pinned.get(tableVersion)!);
    }
  }

  async #checkCommit(
    read: FeatureRead,
    [tableVersion, following]: readonly [number, number | undefined],
    rows: readonly LoggedRow[],
  ): Promise<void> {
    const { definition, alias, version } = read;
    let loaded: Row[];
    try {
      loaded = await this.#computed(read, tableVersion, rows.map((row) => visibleAt(definition, alias, row)), rows);
    } catch (error) {
      if (!(error instanceof VarveError) || !["NOT_FOUND", "CORRUPT"].includes(error.code)) throw error;
      this.#tally.uncompared(
        rows.length * read.features.length,
        `view "${definition.name}" version ${version} cannot be read as of table version ${tableVersion}: ${error.message}`,
      );
      return;
    }
    const differ = rows.filter((row, i) => read.features.some(({ as }) => !isSame(definition, row, loaded[i]!, as)));
    // While a load runs, its values are served before the state says what was loaded.
    const next = new Map<LoggedRow, Row>();
    if (differ.length > 0) {
      const later = following ?? (await this.#parts.table(definition.name, version).snapshot()).version;
      if (later > tableVersion) {
        const times = differ.map(({ request_time: time }) => time);
        const ahead = await this.#computed(read, later, times, differ);
        differ.forEach((row, i) => next.set(row, ahead[i]!));
      }
    }
    rows.forEach((row, i) => {
      const later = next.get(row);
      const isAhead = later !== undefined && read.features.every(({ as }) => isSame(definition, row, later, as));
      for (const { as, feature } of read.features) {
        // What is read for a realtime view alone is in no answer, and has the view's own name.
        const told = isHidden(as) ? `${definition.name}.${feature}` : as;
        this.#compare(read, row, isAhead ? later : loaded[i]!, as, told);
      }
    });
  }

  #compare({ definition, alias }: FeatureRead, row: LoggedRow, offline: Row, as: string, feature: string): void {
    if (isSame(definition, row, offline, as)) return this.#tally.matched(feature);
    const { status } = row.views[alias]!;
    this.#tally.differs(status === "MISSING" ? "missing" : "mismatches", {
      at: String(row.request_time),
      key: row.keys!,
      feature,
      served: row.features[as],
      offline: offline[as],
      status,
    });
  }

  /** The features of rows at these times, from one commit of the table. */
  async #computed(
    read: FeatureRead,
    tableVersion: number,
    times: readonly Timestamp[],
    rows: readonly LoggedRow[],
  ): Promise<Row[]> {
    const columns = keyColumns(read);
    const spine = rows.map(({ keys }, i) => ({
      ...Object.fromEntries(columns.map(({ name }) => [name, keys![name]])),
      [timeColumn]: times[i],
    }));
    const record = {
      format: 1,
      asOf: "effective",
      from: "offline",
      statuses: false,
      effectiveTimestamps: false,
      eventTimestamp: timeColumn,
      rows: rows.length,
      views: [{ ...read, tableVersion }],
    } as const;
    const context = await this.#parts.trainContext();
    const schema = [...columns, { name: timeColumn, type: "timestamp" as const }];
    const set = await rebuildTrainingSet(record, spine, context, {
      schema,
      ...(this.#signal && { signal: this.#signal }),
    });
    try {
      return await set.rows();
    } finally {
      set.close();
    }
  }
}

/** Windows that end with whole intervals end with the last one that was loaded, where a load was late. */
function visibleAt(definition: ViewDefinition, alias: string, row: LoggedRow): Timestamp {
  const { request_time: at, views } = row;
  const { watermark } = views[alias]!;
  if (definition.mode !== "aggregates" || definition.edge !== "complete" || watermark === null) return at;
  const { schedule, dataDelay } = timing(definition);
  const until = watermark.micros + dataDelay + schedule - 1n;
  return until < at.micros ? new Timestamp(until) : at;
}

function isSame(definition: ViewDefinition, row: LoggedRow, offline: Row, feature: string): boolean {
  // A plain value is copied and stays the very same; a sum of floats depends on the order in which it was added.
  const tolerance = definition.mode === "aggregates" ? floatTolerance : 0;
  return sameValue(row.features[feature], offline[feature], tolerance);
}
