/** What a running materialization tells whoever watches. */

/** How far a materialization of one view version is. Counts are of this job; `done` of `total` slices. */
export interface Progress {
  /** The view. */
  readonly view: string;
  /** Which version of it. */
  readonly version: number;
  /** What is going on; `waiting`: no worker is alive that could go on with it. */
  readonly phase: "waiting" | "slices" | "online" | "done";
  /** Slices that are committed. */
  readonly slicesDone: number;
  /** Slices that were due at the start. */
  readonly slicesTotal: number;
  /** Rows written so far. */
  readonly rows: number;
  /** Bytes written so far. */
  readonly bytes: number;
  /** Values loaded online so far. */
  readonly onlineRows: number;
}
