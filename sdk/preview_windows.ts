/** Lets aggregations over windows be previewed before they have a name, a schedule or a store. Import it for its effect. */
import { previewDefinition } from "./define/aggregate_definition.ts";
import type { KeyedSource } from "./define/view_types.ts";
import { frameEngine } from "./engine/install.ts";
import { setPreviewWindows } from "./frame/runtime.ts";
import type { Row, SchemaTypes } from "./schema.ts";
import { systemClock, toMicros } from "./time.ts";

setPreviewWindows(async (windowed, { at, limit, signal }) => {
  const definition = previewDefinition(windowed as KeyedSource<Row, SchemaTypes> & typeof windowed, windowed.spec);
  const { preview } = await import("./retrieve/range.ts");
  const { session, relation } = await preview(await frameEngine(), definition, {
    at: at === undefined ? systemClock.now() : toMicros(at),
    asOf: "event",
    ...(limit !== undefined && { limit }),
    ...(signal && { signal }),
  });
  try {
    return await session.rows(relation.sql, signal);
  } finally {
    session.close();
  }
});
