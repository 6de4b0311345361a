/** Named places where a test may make a materialization crash, pause or fail. */

/** The places: after a part reached the object store, around the commit, between two batches of an online load. */
export type FailpointName = "after-part-write" | "before-commit" | "after-commit" | "mid-online";

/** Called at every failpoint; production passes none. */
export type Failpoint = (name: FailpointName) => void | Promise<void>;

/** Does nothing, which is what production does at a failpoint. */
export function noFailpoint(): void {}
