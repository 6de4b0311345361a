/** Definitions over a flights table that no test reads: for tests of definitions and of the registry. */
import { entity } from "../../sdk/define/entity.ts";
import { view } from "../../sdk/define/view.ts";
import type { FeatureView } from "../../sdk/define/view.ts";
import type { ViewOptions } from "../../sdk/define/view_types.ts";
import { Frame } from "../../sdk/frame/frame.ts";
import type { FileSource } from "../../sdk/frame/query.ts";
import type { RowOf, SchemaTypes } from "../../sdk/schema.ts";

export const airport = entity("airport", { origin: "string" });
export const route = entity("route", { origin: "string", destination: "string" });

export const flightTypes = {
  date: "timestamp",
  loaded: "timestamp",
  origin: "string",
  destination: "string",
  delay: "int32",
  distance: "int64",
} as const satisfies SchemaTypes;

/** A frame of declared columns over a file that need not be there. */
export function fileFrame<const S extends SchemaTypes>(types: S, source: Partial<FileSource> = {}): Frame<RowOf<S>> {
  return new Frame({
    kind: "scan",
    source: { kind: "file", format: "parquet", paths: ["/data/flights.parquet"], ...source },
    schema: Object.entries(types).map(([name, type]) => ({ name, type })),
  });
}

/** Flights with their event timestamp. */
export function flights(source: Partial<FileSource> = {}): Frame<RowOf<typeof flightTypes>> {
  return fileFrame(flightTypes, { eventTimestamp: "date", ...source });
}

/** A view of delays by airport, daily since 2001, untyped so that tests can vary it. */
export function delays(options: Partial<ViewOptions> & { name?: string } = {}): FeatureView {
  const { name = "delays", ...rest } = options;
  const settings = { schedule: "1d", start: "2001-01-01", features: ["delay"], ...rest } as ViewOptions;
  return view(name, flights().by(airport), settings as never);
}
