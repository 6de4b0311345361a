/** What a view holds: each of its features over time and by entity. The composition root says how it is computed. */
import { Displayed } from "../display.ts";
import { VarveError } from "../errors.ts";
import { type ColumnProfile, type ProfileRow, profileRow } from "../frame/column_profile.ts";
import { Plot, type PlotOptions, plotSpec, utcTime } from "../frame/plots.ts";
import type { ReadOptions } from "../frame/runtime.ts";
import type { Row } from "../schema.ts";
import { type Duration, formatTimestamp, type Timestamp, type TimestampLike } from "../time.ts";
import { formatCount, formatShare } from "../text.ts";
import type { ViewDefinition } from "./definitions.ts";

/** What a profile looks at. */
export interface ProfileOptions<Name extends string = string> extends ReadOptions {
  /** The features. @default all */
  readonly features?: readonly Name[];
  /** From when on. @default the view's start */
  readonly start?: TimestampLike;
  /** Until when. @default now */
  readonly end?: TimestampLike;
  /** How long an interval of time is, in whole slices of the view. @default what gives at most 60 */
  readonly every?: Duration;
  /** How many entities are shown on their own: those with the most rows. @default 10 */
  readonly entities?: number;
  /** Of more rows than this a sample is looked at, and the profile says so. @default 200_000 */
  readonly maxRows?: number;
}

/** A feature in one interval of time. */
export interface ProfileInterval {
  /** When the interval begins; of windows, the instant that was asked for. */
  readonly at: Timestamp;
  /** Rows that were looked at. */
  readonly rows: number;
  /** The share of them in which the feature is null. */
  readonly nullShare: number;
  /** The mean of a number, the share of true of a boolean. */
  readonly mean: number | null;
  /** Of a number: a tenth lies below. */
  readonly p10: number | null;
  /** Of a number: half lies below. */
  readonly p50: number | null;
  /** Of a number: nine tenths lie below. */
  readonly p90: number | null;
}

/** A feature of one entity. */
export interface ProfileEntity {
  /** Its join keys. */
  readonly key: Row;
  /** Its rows: of windows, the rows of the source or the tiles that are stored. */
  readonly rows: number;
  /** The share of what was looked at in which the feature is null. */
  readonly nullShare: number;
  /** The mean of a number, the share of true of a boolean. */
  readonly mean: number | null;
}

/** One feature of a view. */
export interface FeatureProfile<Name extends string = string> extends ColumnProfile<Name> {
  /** Interval by interval. */
  readonly overTime: readonly ProfileInterval[];
  /** The entities with the most rows, in the order of the profile's. */
  readonly byEntity: readonly ProfileEntity[];
}

/** What is known of the rows of a profile, as plain data. */
export interface ProfileFacts<Name extends string = string> {
  /** The view. */
  readonly view: string;
  /** Which version of it; undefined when its source was read. */
  readonly version: number | undefined;
  /** Whether rows are those of a view of attributes, or what windows give at the end of each interval. */
  readonly of: "rows" | "windows";
  /** The entity. */
  readonly entity: string;
  /** The first and the last row or instant; undefined when there are none. */
  readonly range: { readonly start: Timestamp; readonly end: Timestamp } | undefined;
  /** How long an interval is. */
  readonly every: Duration;
  /** How many rows there are: of windows, one for each key and interval from the key's first row on. */
  readonly rowCount: number;
  /** How many of them were looked at. */
  readonly rowsRead: number;
  /** Different keys. */
  readonly keys: number;
  /** The features, in order. */
  readonly features: readonly FeatureProfile<Name>[];
}

/** What a view holds, as `view.profile()` or `store.profile(view)` found it. */
export class ViewProfile<Name extends string = string> extends Displayed implements ProfileFacts<Name> {
  /** The view. */
  readonly view: string;
  /** Which version of it; undefined when its source was read. */
  readonly version: number | undefined;
  /** Whether rows are those of a view of attributes, or what windows give at the end of each interval. */
  readonly of: "rows" | "windows";
  /** The entity. */
  readonly entity: string;
  /** The first and the last row or instant; undefined when there are none. */
  readonly range: { readonly start: Timestamp; readonly end: Timestamp } | undefined;
  /** How long an interval is. */
  readonly every: Duration;
  /** How many rows there are: of windows, one for each key and interval from the key's first row on. */
  readonly rowCount: number;
  /** How many of them were looked at. */
  readonly rowsRead: number;
  /** Different keys. */
  readonly keys: number;
  /** The features, in order. */
  readonly features: readonly FeatureProfile<Name>[];

  /** Made by a profile. */
  constructor(facts: ProfileFacts<Name>) {
    super();
    this.view = facts.view;
    this.version = facts.version;
    this.of = facts.of;
    this.entity = facts.entity;
    this.range = facts.range;
    this.every = facts.every;
    this.rowCount = facts.rowCount;
    this.rowsRead = facts.rowsRead;
    this.keys = facts.keys;
    this.features = facts.features;
    Object.freeze(this);
  }

  /** Whether the stored history or the source was read. */
  get from(): "offline" | "source" {
    return this.version === undefined ? "source" : "offline";
  }

  /** One feature. */
  feature(name: Name): FeatureProfile<Name> {
    const found = this.features.find(({ feature }) => feature === name);
    if (found) return found;
    throw new VarveError(
      "INVALID_REQUEST",
      `Cannot find feature "${name}" in the profile of view "${this.view}": it has ${
        this.features.map(({ feature }) => feature).join(", ")
      }`,
    );
  }

  /** One row for each feature, as plain data. */
  rows(): ProfileRow[] {
    return this.features.map(profileRow);
  }

  /** Pictures: `profile.plot.overTime("delay_mean")`. */
  get plot(): ProfilePlots<Name> {
    return new ProfilePlots(this);
  }

  /** What was looked at, in a line. */
  summary(): string {
    return `view ${this.view}${this.version === undefined ? ", from its source" : ` version ${this.version}`} · ${
      lookedText(this)
    }`;
  }

  /** What was looked at, and each feature in a line. */
  override toString(): string {
    const lines = this.features.map(({ feature, type, nullShare, distinct }) =>
      `  ${feature} ${type}, ${formatShare(nullShare)} null${
        distinct === null ? "" : `, ${formatCount(distinct)} different values`
      }`
    );
    return [`profile of ${this.summary()}`, ...lines].join("\n");
  }
}

/** How many rows of how many, whose, and of when. */
export function lookedText(
  { of, rowCount, rowsRead, every, keys, entity, range }: Omit<ProfileFacts, "features">,
): string {
  const rows = rowCount === rowsRead
    ? formatCount(rowCount)
    : `a sample of ${formatCount(rowsRead)} of ${formatCount(rowCount)}`;
  return [
    of === "rows" ? `${rows} rows` : `${rows} values of keys, one every ${every}`,
    `${formatCount(keys)} keys of ${entity}`,
    ...(range ? [`${minute(range.start)} to ${minute(range.end)}`] : []),
  ].join(" · ");
}

/** To the minute: nobody reads more. */
function minute(time: Timestamp): string {
  return formatTimestamp(time.micros).slice(0, 16).replace("T", " ").replace(/ 00:00$/, "");
}

/** Draws a profile. */
export class ProfilePlots<Name extends string = string> {
  readonly #profile: ViewProfile<Name>;

  /** Made by `profile.plot`. */
  constructor(profile: ViewProfile<Name>) {
    this.#profile = profile;
  }

  /** The mean of a feature and where most of its values lie, interval by interval; of others than numbers, how much is null. */
  overTime(feature: Name, options: PlotOptions = {}): Plot {
    const { overTime } = this.#profile.feature(feature);
    const x = { ...utcTime("at"), title: null };
    const y = (field: string) => ({ field, type: "quantitative", title: feature, scale: { zero: false } });
    const isNumber = overTime.some(({ mean }) => mean !== null);
    const layer = isNumber
      ? [
        ...(overTime.some(({ p10 }) => p10 !== null)
          ? [{ mark: { type: "area", opacity: 0.25 }, encoding: { x, y: y("p10"), y2: { field: "p90" } } }]
          : []),
        { mark: "line", encoding: { x, y: y("mean") } },
      ]
      : [{
        mark: "line",
        encoding: { x, y: { field: "nullShare", type: "quantitative", title: `${feature}: share of nulls` } },
      }];
    const title = `${feature} of ${this.#profile.view}${isNumber ? ", mean and 10 to 90 %" : ""}`;
    return new Plot(
      { ...plotSpec({ title, ...options }), layer },
      () => Promise.resolve(overTime.map((row) => ({ ...row }))),
    );
  }

  /** How the values of a feature lie. */
  histogram(feature: Name, options: PlotOptions = {}): Plot {
    const { bins, values } = this.#profile.feature(feature);
    const rows = { field: "rows", type: "quantitative", title: "rows" };
    const spec = plotSpec({ title: `${feature} of ${this.#profile.view}`, ...options });
    if (bins.length === 0) {
      const encoding = { y: { field: "value", type: "nominal", sort: null, title: feature }, x: rows };
      return new Plot({ ...spec, mark: "bar", encoding }, () => Promise.resolve(values.map((row) => ({ ...row }))));
    }
    const encoding = {
      x: { field: "left", type: "quantitative", title: feature, bin: { binned: true } },
      x2: { field: "right" },
      y: rows,
    };
    // The first and the last bin reach as far as there are values; drawn so wide they would seem to hold more than they do.
    const width = bins.length > 2 ? bins[1]!.to - bins[1]!.from : undefined;
    const drawn = bins.map((bin, i) => ({
      ...bin,
      left: i === 0 && width !== undefined ? bin.to - width : bin.from,
      right: width !== undefined && i === bins.length - 1 ? bin.from + width : bin.to,
    }));
    return new Plot({ ...spec, mark: "bar", encoding }, () => Promise.resolve(drawn));
  }

  /** The mean of a feature for the entities with the most rows. */
  byEntity(feature: Name, options: PlotOptions = {}): Plot {
    const { byEntity } = this.#profile.feature(feature);
    const encoding = {
      y: { field: "key", type: "nominal", sort: null, title: this.#profile.entity },
      x: { field: "mean", type: "quantitative", title: feature },
    };
    const title = `mean of ${feature}, by ${this.#profile.entity}`;
    const rows = byEntity.map(({ key, ...rest }) => ({ key: Object.values(key).map(String).join(", "), ...rest }));
    return new Plot({ ...plotSpec({ title, ...options }), mark: "bar", encoding }, () => Promise.resolve(rows));
  }
}

/** Computes the profile of a view from its source. */
export type ProfileView = (definition: ViewDefinition, options: ProfileOptions) => Promise<ViewProfile>;

let profiler: ProfileView | undefined;

/** Sets what profiles views: that takes an engine. */
export function setProfileView(profile: ProfileView): void {
  profiler = profile;
}

/** What profiles views, or an error that says how to get it. */
export function profileView(): ProfileView {
  if (profiler) return profiler;
  throw new VarveError("UNSUPPORTED", 'Cannot profile a view: no engine is installed; import views from "varve"');
}
