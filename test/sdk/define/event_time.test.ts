import { describe, expect, it } from "vitest";
import { traceTimestamp, withTimestamp } from "../../../sdk/define/event_time.ts";
import { queryIssues, queryWarnings } from "../../../sdk/define/query_checks.ts";
import { col } from "../../../sdk/frame/expr.ts";
import type { Query } from "../../../sdk/frame/query.ts";
import { fileFrame, flights } from "../../support/flight_views.ts";

const hour = 3_600_000_000n;

function columns(query: Query): unknown {
  const trace = traceTimestamp(query, "eventTimestamp");
  return "problem" in trace
    ? trace.problem
    : trace.columns.map(({ name, rounding }) => rounding === 1n ? name : `${name}/${rounding}`);
}

function sql(text: string, inputs: Record<string, Query>, ...names: string[]): Query {
  return { kind: "sql", sql: text, inputs, schema: names.map((name) => ({ name, type: "timestamp" })) };
}

describe("traceTimestamp()", () => {
  it.each<[string, Query, unknown]>([
    [
      "a filter, a sort, a join",
      flights().filter(col("delay").gt(0)).sort("delay").join(flights().select("origin", "distance"), "origin").query,
      ["date"],
    ],
    ["a rename", flights().rename({ date: "at" }).query, ["at"]],
    ["a copy, the column itself first", flights().derive({ at: col("date") }).query, ["date", "at"]],
    ["a rounding, the exact one first", flights().derive({ at: col("date").dt.truncate("hour") }).query, [
      "date",
      `at/${hour}`,
    ]],
    [
      "roundings upon roundings",
      flights().select("origin", { a: col("date").dt.truncate("minute") }).derive({ a: col("a").dt.truncate("hour") })
        .query,
      [`a/${hour}`],
    ],
    [
      "a union of one name",
      flights().union(flights().derive({ date: col("date").dt.truncate("hour") }) as never).query,
      [
        `date/${hour}`,
      ],
    ],
    ["SQL that returns it", sql("SELECT date FROM f", { f: flights().query }, "date"), ["date"]],
    [
      "SQL beside a table without times",
      sql("…", { f: flights().query, s: fileFrame({ origin: "string" }).query }, "date"),
      ["date"],
    ],
    [
      "SQL that does not",
      sql("…", { f: flights().query }, "day"),
      'the SQL does not return "date"; select that column under its name',
    ],
    [
      "SQL over nothing with times",
      sql("…", { s: fileFrame({ origin: "string" }).query }, "day"),
      "its source has no event timestamp; name one of its columns",
    ],
    [
      "weeks, which do not begin at a slice",
      flights().derive({ date: col("date").dt.truncate("week") }).query,
      'column "date" is lost in derive; it is replaced by something that is not the same time; give that another name',
    ],
  ])("goes through %s", (_, query, expected) => {
    expect(columns(query)).toEqual(expected);
  });

  it("tells which frames of a union call it differently", () => {
    const other = flights().rename({ date: "x", loaded: "date" }).rename({ x: "loaded" }).select(...flights().columns);
    expect(columns(flights().union(other as never).query)).toContain("under different names (date, loaded)");
  });
});

describe("withTimestamp()", () => {
  it("tells every source of a union", () => {
    const placed = withTimestamp(flights().union(flights({ paths: ["/b.parquet"] })).query, "eventTimestamp", "loaded");
    expect(placed).toMatchObject({
      query: { inputs: [{ source: { eventTimestamp: "loaded" } }, { source: { eventTimestamp: "loaded" } }] },
    });
  });

  it("does not touch the query it was given", () => {
    const { query } = flights();
    withTimestamp(query, "eventTimestamp", "loaded");
    expect(columns(query)).toEqual(["date"]);
  });
});

describe("queryIssues()", () => {
  it("refuses aggregates that depend on an order nobody gave", () => {
    const input = { kind: "column", name: "delay" } as const;
    const step = (by?: Query) => ({
      kind: "aggregate" as const,
      input: flights().query,
      by: ["date"],
      aggregates: [{
        name: "last_delay",
        function: "last" as const,
        input,
        ...(by ? { by: { kind: "column" as const, name: "loaded" } } : {}),
      }],
    });
    expect(queryIssues(step())[0]!.message).toContain('aggregate "last_delay" takes last in no order');
    expect(queryIssues(step(flights().query))).toEqual([]);
  });

  it("finds steps beside the driving path too, and says once that SQL is slow", () => {
    const limited = flights().join(fileFrame({ origin: "string", size: "int32" }).limit(3), "origin");
    expect(queryIssues(limited.query).map((issue) => issue.message).join()).toContain("limit cannot be in a view");
    const twice = sql("…", { a: sql("…", { f: flights().query }, "date") }, "date");
    expect(queryWarnings(twice)).toHaveLength(1);
  });
});
