/** Counts what was done for views. */
import type { JobResult } from "./materialize/run.ts";
import type { Progress } from "./materialize/progress.ts";

/** What was done for one view. */
export interface DoneView {
  /** The view. */
  readonly view: string;
  /** Which version of it. */
  readonly version: number;
  /** Slices that were computed. */
  readonly slices: number;
  /** Rows that were written. */
  readonly rows: number;
  /** Bytes that were written. */
  readonly bytes: number;
  /** Values written to the online store. */
  readonly onlineRows: number;
}

/** What the jobs of one view version have done so far. */
export class Tally {
  readonly #view: string;
  readonly #version: number;
  readonly #slices: number;
  readonly #jobs = new Map<string, Partial<Progress>>();

  constructor(view: string, version: number, slices: number) {
    this.#view = view;
    this.#version = version;
    this.#slices = slices;
  }

  see(id: string, progress: Partial<Progress>): void {
    this.#jobs.set(id, progress);
  }

  progress(phase: Progress["phase"]): Progress {
    const { slices, rows, bytes, onlineRows } = this.done();
    const slicesTotal = Math.max(this.#slices, slices);
    return {
      view: this.#view,
      version: this.#version,
      phase,
      slicesDone: slices,
      slicesTotal,
      rows,
      bytes,
      onlineRows,
    };
  }

  done(): DoneView {
    const sum = (field: "slicesDone" | "rows" | "bytes" | "onlineRows") =>
      [...this.#jobs.values()].reduce((total, progress) => total + (progress[field] ?? 0), 0);
    return {
      view: this.#view,
      version: this.#version,
      slices: sum("slicesDone"),
      rows: sum("rows"),
      bytes: sum("bytes"),
      onlineRows: sum("onlineRows"),
    };
  }
}

/** What a job has done in the end. */
export function progressOf(result: JobResult): Partial<Progress> {
  if ("tableVersion" in result) return { slicesDone: result.slices, rows: result.rows, bytes: result.bytes };
  return "appliedVersion" in result ? { onlineRows: result.rows } : {};
}
