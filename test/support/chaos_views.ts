/** The views of the chaos test, as definitions and as what the oracles read. */
import { entity } from "../../sdk/define/entity.ts";
import { type FeatureService, service } from "../../sdk/define/service.ts";
import { view } from "../../sdk/define/view.ts";
import { col } from "../../sdk/frame/expr.ts";
import { parquet } from "../../sdk/frame/sources.ts";
import type { OracleView } from "../oracle/point_in_time.ts";
import { storedRows, type StoredView } from "../oracle/stored_rows.ts";
import { type ChaosRow, chaosTypes, day, hour, origin } from "./chaos_source.ts";

/** What the amounts of each view are multiplied by: another factor is another definition of the data. */
export interface Factors {
  readonly daily: number;
  readonly hourly: number;
}

export type ViewName = keyof Factors;
export const viewNames = ["daily", "hourly"] as const;

const byDriver = entity("driver", { driver: "string" });
const byZone = entity("driver_zone", { driver: "string", zone: "int64" });

/** Everything that is published. */
export function model(path: string, factors: Factors): FeatureService {
  const rows = parquet(path, { eventTimestamp: "at", writtenTimestamp: "written", schema: chaosTypes });
  const daily = view(
    "daily",
    rows.derive({ day_amount: col("amount").times(factors.daily), day_note: col("note") }).by(byDriver),
    {
      features: ["day_amount", "day_note"],
      defaults: { day_note: "none" },
      schedule: "1d",
      dataDelay: "2h",
      start: "2001-01-01",
      ttl: "5d",
      lookback: 2,
      online: true,
    },
  );
  const hourly = view(
    "hourly",
    rows.derive({ hour_amount: col("amount").times(factors.hourly) }).by(byZone),
    { features: ["hour_amount"], schedule: "1h", start: "2001-01-03", lookback: 3, online: true },
  );
  return service("model", [daily, hourly]) as unknown as FeatureService;
}

const times = (value: unknown, factor: number) => value === null ? null : (value as number) * factor;

/** What the oracle of stored rows reads. */
export function storedView(name: ViewName, factor: number): StoredView {
  if (name === "hourly") {
    return {
      name,
      joinKeys: ["driver", "zone"],
      schedule: hour,
      dataDelay: 0n,
      start: origin + 2n * day,
      features: ({ amount }) => ({ hour_amount: times(amount, factor) }),
    };
  }
  return {
    name,
    joinKeys: ["driver"],
    schedule: day,
    dataDelay: 2n * hour,
    start: origin,
    ttl: 5n * day,
    features: ({ amount, note }) => ({ day_amount: times(amount, factor), day_note: note }),
  };
}

/** How many finished slices each schedule runs again. */
export const lookbacks: Readonly<Record<ViewName, bigint>> = { daily: 2n, hourly: 3n };

/** What the point-in-time oracle reads of the rows that are to be stored at `now`. */
export function joinedView(name: ViewName, factor: number, rows: readonly ChaosRow[], now: bigint): OracleView {
  const stored = storedView(name, factor);
  const features = name === "daily"
    ? [{ feature: "day_amount", as: "day_amount" }, { feature: "day_note", as: "day_note", default: "none" }]
    : [{ feature: "hour_amount", as: "hour_amount" }];
  const { joinKeys, schedule, dataDelay, start, ttl } = stored;
  return {
    alias: name,
    rows: storedRows(stored, rows as unknown as Record<string, unknown>[], now),
    joinKeys,
    joinKeyMap: {},
    features,
    tieOrder: [],
    schedule,
    dataDelay,
    start,
    ...(ttl !== undefined && { ttl }),
  };
}
