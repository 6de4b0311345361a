/** Lets aggregations over windows be previewed before they have a name, a schedule or a store. Import it for its effect. */
import { previewDefinition } from "./define/aggregate_definition.ts";
import type { KeyedSource } from "./define/view_types.ts";
import type { MimeBundle } from "./display.ts";
import { frameEngine } from "./engine/install.ts";
import { setPreviewWindows } from "./frame/runtime.ts";
import { readStopped, stoppable } from "./interrupt.ts";
import { textBundle } from "./notebook/html.ts";
import { reportList } from "./notebook/report.ts";
import { rowsTable } from "./notebook/rows_table.ts";
import type { Row, Schema, SchemaTypes } from "./schema.ts";
import { formatTimestamp, systemClock, toMicros } from "./time.ts";

/** Keys that a notebook shows. */
const shownKeys = 20;

setPreviewWindows(async (windowed, { at, limit, signal: given }) => {
  const definition = previewDefinition(windowed as KeyedSource<Row, SchemaTypes> & typeof windowed, windowed.spec);
  const instant = at === undefined ? systemClock.now() : toMicros(at);
  const { preview } = await import("./retrieve/range.ts");
  return await stoppable({ signal: given }, readStopped, async ({ signal }) => {
    const { session, relation } = await preview(await frameEngine(), definition, {
      at: instant,
      asOf: "event",
      ...(limit !== undefined && { limit }),
      ...(signal && { signal }),
    });
    try {
      const rows = await session.rows(relation.sql, signal);
      const when = `${formatTimestamp(instant)}${at === undefined ? ", which is now" : ""}`;
      return reportList(rows, () => shown(rows, relation.schema, when));
    } finally {
      session.close();
    }
  });
});

function shown(rows: readonly Row[], schema: Schema, when: string): MimeBundle {
  if (rows.length > 0) {
    return rowsTable(schema, rows.slice(0, shownKeys), { title: `features at ${when}`, total: rows.length });
  }
  return textBundle(
    `There is no row in any window at ${when}: give the time to look at, as in preview({ at: "2001-02-01" })`,
  );
}
