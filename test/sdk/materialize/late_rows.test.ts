import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type { AttributeView, ViewDefinition } from "../../../sdk/define/definitions.ts";
import {
  findLateRows,
  isLookDue,
  type LateNote,
  lateNoteKey,
  lateScans,
  lateSlices,
  readLateNote,
} from "../../../sdk/materialize/late_rows.ts";
import { formatTimestamp } from "../../../sdk/time.ts";
import { january, Rig, type SourceRow } from "./rig.ts";

let rig: Rig;
beforeEach(async () => {
  rig = await Rig.open();
});
afterEach(() => rig.close());

const key = lateNoteKey("test", "values", 1);

async function look(definition: ViewDefinition = rig.definition()): Promise<LateNote> {
  const session = await rig.engine.session();
  try {
    return await findLateRows(definition, {
      session,
      table: rig.table(),
      objects: rig.objects,
      key,
      clock: rig.clock,
    });
  } finally {
    session.close();
  }
}

/** Days of January with late rows that were not repaired. */
async function lateDays(): Promise<number[]> {
  const note = await readLateNote(rig.objects, key);
  const { slices } = await rig.table().snapshot();
  return lateSlices(rig.definition(), note, slices).map(({ start }) =>
    Number((start - january(1)) / 86_400_000_000n) + 1
  );
}

function row(day: string, written: string, v = 1): SourceRow {
  return { a: "x", b: 1, t: `2001-01-${day}T06:00Z`, w: `2001-01-${written}Z`, v };
}

describe("late rows", () => {
  const first = [row("01", "01T07:00"), row("02", "02T07:00"), row("03", "03T07:00")];

  it("mark the slices that they belong to, until these are computed again", async () => {
    rig.clock.set("2001-01-04T03:00");
    await rig.write(first);
    await rig.run(1, 4);
    rig.clock.set("2001-01-05T02:00");
    await look();
    expect(await lateDays()).toEqual([]);
    await rig.write([...first, row("02", "05T01:00", 2), row("04", "04T07:00")]);
    rig.clock.set("2001-01-05T02:30");
    await rig.run(4, 5);
    expect((await look()).lookedAt).toBe(rig.clock.now());
    // It says that it was written before the last look, which did not see it: only a lookback helps.
    expect(await lateDays()).toEqual([]);
    await rig.write([...first, row("02", "05T03:00", 2), row("01", "05T03:30", 2), row("06", "05T03:30")]);
    rig.clock.set("2001-01-05T04:00");
    await look();
    expect(await lateDays()).toEqual([2, 1]);
    await rig.run(2, 3, { overwrite: true });
    expect(await lateDays()).toEqual([1]);
    rig.clock.set("2001-01-05T05:00");
    // What was found and is not repaired is not forgotten; what is repaired is not found again.
    await look();
    expect(await lateDays()).toEqual([1]);
    await rig.run(1, 2, { overwrite: true });
    await look();
    expect(await lateDays()).toEqual([]);
  });

  it("are found by the first look too, and after the note was lost", async () => {
    rig.clock.set("2001-01-04T03:00");
    await rig.write(first);
    await rig.run(1, 3);
    rig.clock.set("2001-01-04T05:00");
    await rig.run(3, 4);
    // Day 1 was read at 03:00, day 3 at 05:00.
    await rig.write([...first, row("01", "04T04:00"), row("03", "04T04:30")]);
    rig.clock.set("2001-01-04T06:00");
    await look();
    expect(await lateDays()).toEqual([1]);
    await rig.objects.put(key, "torn");
    await look();
    expect(await lateDays()).toEqual([1]);
  });

  it("count from when a run began to read, not from when it committed", async () => {
    rig.clock.set("2001-01-04T03:00");
    await rig.write(first);
    await rig.run(1, 4, {
      context: {
        failpoint: (name) => {
          if (name === "before-commit") rig.clock.set("2001-01-04T06:00");
        },
      },
    });
    await rig.write([...first, row("02", "04T05:00")]);
    await look();
    expect(await lateDays()).toEqual([2]);
  });

  it("of the future, of open slices, and of before the start are left alone", async () => {
    rig.clock.set("2001-01-04T03:00");
    await rig.write(first);
    await rig.run(1, 4);
    rig.clock.set("2001-01-04T05:00");
    await rig.write([
      ...first,
      row("01", "05T00:00"),
      row("04", "04T04:00"),
      { ...row("01", "04T04:00"), t: "2000-12-31T06:00Z" },
      { ...row("02", "04T04:00"), t: null },
      { ...row("02", "04T04:00"), w: null },
    ]);
    await look();
    expect(await lateDays()).toEqual([]);
    rig.clock.set("2001-01-05T00:00");
    await look();
    expect(await lateDays()).toEqual([1]);
  });

  it("are looked for once after each slice has closed, where the source says when rows were written", () => {
    const definition = rig.definition();
    const committed = new Map([[january(1), 1]]);
    const note = (lookedAt: string): LateNote => {
      rig.clock.set(lookedAt);
      return { lookedAt: rig.clock.now(), tableVersion: 1, late: new Map() };
    };
    const due = (view: ViewDefinition, late: LateNote | undefined, now: bigint) =>
      isLookDue(view, late, committed, now);
    expect(due(definition, undefined, january(3))).toBe(true);
    expect(isLookDue(definition, undefined, new Map(), january(3))).toBe(false);
    // Slices close at 02:00.
    const looked = note("2001-01-02T02:00");
    expect(due(definition, looked, january(2) + 3n * 3_600_000_000n)).toBe(false);
    expect(due(definition, looked, january(3) + 7_199_999_999n)).toBe(false);
    expect(due(definition, looked, january(3) + 7_200_000_000n)).toBe(true);
    const { writtenTimestamp: _, ...silent } = definition;
    expect(lateScans(silent)).toEqual([]);
    expect(due(silent as AttributeView, undefined, january(3))).toBe(false);
    const dropped = rig.definition({ query: { kind: "drop", input: rig.scan(), columns: ["w"] } });
    expect(lateScans(dropped)).toHaveLength(1);
    expect(lateScans(rig.definition({ query: rig.scan(["a", "b", "t", "v"]) }))).toEqual([]);
  });

  it("keep what a person can read", async () => {
    rig.clock.set("2001-01-04T03:00");
    await rig.write(first);
    await rig.run(1, 4);
    await rig.write([...first, row("02", "04T04:00")]);
    rig.clock.set("2001-01-04T05:00");
    await look();
    const text = new TextDecoder().decode(await rig.objects.get(key));
    expect(JSON.parse(text)).toEqual({
      lookedAt: formatTimestamp(rig.clock.now()),
      tableVersion: 1,
      late: { "2001-01-02T00:00:00Z": 1 },
    });
  });
});
