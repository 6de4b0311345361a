/** What a running materialization tells whoever watches. */

/** How far a materialization of one view version is. Counts are of this job; `done` of `total` slices. */
export interface Progress {
  readonly view: string;
  readonly version: number;
  readonly phase: "waiting" | "slices" | "online" | "done";
  readonly slicesDone: number;
  readonly slicesTotal: number;
  readonly rows: number;
  readonly bytes: number;
  readonly onlineRows: number;
}
