import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { ViewVersion } from "../../../sdk/registry/state.ts";
import { manualJobs } from "../../../sdk/materialize/manual_jobs.ts";
import { toMicros } from "../../../sdk/time.ts";

function version(settings: Partial<ViewVersion["definition"]> = {}): ViewVersion {
  const definition = { name: "trips", schedule: "1d", dataDelay: "2h", start: "2001-01-01", ...settings };
  return { version: 3, definition } as unknown as ViewVersion;
}

const work = { workspace: "w", version: version(), now: toMicros("2001-01-05T03:00Z"), overwrite: true };
const day = 86_400_000_000n;

describe("manualJobs()", () => {
  it("takes all slices that have closed", () => {
    expect(manualJobs(work)).toEqual([{
      name: "materialize",
      workspace: "w",
      view: "trips",
      version: 3,
      start: "2001-01-01T00:00:00Z",
      end: "2001-01-05T00:00:00Z",
      overwrite: true,
      reason: "manual",
    }]);
    expect(manualJobs({ ...work, now: toMicros("2001-01-05T01:00Z") })[0]!.end).toBe("2001-01-04T00:00:00Z");
    expect(manualJobs({ ...work, now: toMicros("2001-01-02T01:00Z") })).toEqual([]);
  });

  it("takes the slices that a range cuts, and none that has not closed", () => {
    const ranges = (start: string | undefined, end: string | undefined) =>
      manualJobs({
        ...work,
        range: { ...(start && { start: toMicros(start) }), ...(end && { end: toMicros(end) }) },
      }).map((job) => [job.start.slice(0, 10), job.end.slice(0, 10)]);
    expect(ranges("2001-01-02T05:00Z", "2001-01-02T06:00Z")).toEqual([["2001-01-02", "2001-01-03"]]);
    expect(ranges("1990-01-01", "2099-01-01")).toEqual([["2001-01-01", "2001-01-05"]]);
    expect(ranges(undefined, "2001-01-03")).toEqual([["2001-01-01", "2001-01-03"]]);
    expect(ranges("2001-01-05", "2001-01-06")).toEqual([]);
    expect(ranges("1990-01-01", "1990-01-02")).toEqual([]);
  });

  it("covers every slice once, in not too many jobs, newest first, with borders that stay where they are", () => {
    fc.assert(fc.property(fc.integer({ min: 1, max: 200_000 }), fc.integer({ min: 0, max: 40 }), (days, more) => {
      const start = toMicros("2001-01-01");
      const jobs = (count: number) =>
        manualJobs({ ...work, now: start + BigInt(count) * day + day / 2n }).map((job) => ({
          start: toMicros(job.start),
          end: toMicros(job.end),
        }));
      const all = jobs(days);
      expect(all.length).toBeLessThanOrEqual(258);
      expect(all[0]!.end).toBe(start + BigInt(days) * day);
      expect(all.at(-1)!.start).toBe(start);
      for (const [i, job] of all.slice(1).entries()) expect(job.end).toBe(all[i]!.start);
      if (days + more > 5_000) return;
      const later = new Set(jobs(days + more).map((job) => job.start));
      for (const job of all.slice(1)) expect(later.has(job.start)).toBe(true);
    }));
  });
});
