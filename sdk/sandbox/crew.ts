/** The children of one function: hands batches out, replaces children that are worn, idle or gone. */
import { setTimeout } from "node:timers";
import { VarveError } from "../errors.ts";
import { type Call, Child, type ChildOptions } from "./child.ts";

/** How a crew works. */
export interface CrewOptions {
  /** How its children start. */
  readonly child: Omit<ChildOptions, "onProgress" | "onLate" | "onEnd">;
  /** The most children. */
  readonly children: number;
  /** Batches that one child answers before another takes its place. */
  readonly recycleAfter: number;
  /** Wall time of work after which another takes its place, in ms. */
  readonly recycleAfterMs: number;
  /** Children that had nothing to do for so long end, in ms. */
  readonly idleMs: number;
  /** Batches that may wait. */
  readonly maxQueue: number;
  /** Told before a child starts: another crew may give up its own. */
  readonly beforeStart: () => void;
}

/** Batches that a child has at once: it begins the next while the answer to the last is on its way. */
const depth = 4;

/** Children that may be busy with one late batch each, beside those that others take their place for. */
const maxLate = 2;

/** Times that a batch is sent again because another batch ended its child. */
const maxSends = 5;

/** The children of one function. */
export class Crew {
  /** Runs under way, as their caller counts them; some of them have no batch out. */
  runs = 0;
  readonly #options: CrewOptions;
  readonly #queue: Call[] = [];
  readonly #children = new Set<Child>();
  /** Those that take long over one batch. */
  readonly #late = new Set<Child>();
  /** Children that will take the place of worn ones once they are ready. */
  readonly #heirs = new Map<Child, Child>();
  #warm:
    | { readonly promise: Promise<void>; readonly resolve: () => void; readonly reject: (error: VarveError) => void }
    | undefined;
  #idle: ReturnType<typeof setTimeout> | undefined;
  #starts = 0;

  /** Makes one; nothing is started. */
  constructor(options: CrewOptions) {
    this.#options = options;
  }

  /** Children started in all. */
  get starts(): number {
    return this.#starts;
  }

  /** Children that run. */
  get running(): number {
    return this.#children.size;
  }

  /** Batches that wait or are being worked on. */
  get waiting(): number {
    let count = this.#queue.length;
    for (const child of this.#children) count += child.pending;
    return count;
  }

  /** Whether it has children, and none of them has anything to do. */
  get resting(): boolean {
    return this.#children.size > 0 && this.waiting === 0 && [...this.#children].every((child) => child.ready);
  }

  /** Ends the children as soon as they have answered what they were sent. */
  rest(): void {
    for (const child of this.#children) child.retire();
  }

  /** Starts a child, if none runs, and waits until it is ready. */
  warm(): Promise<void> {
    if (this.#warm) return this.#warm.promise;
    for (const child of this.#children) if (child.ready) return Promise.resolve();
    let resolve!: () => void;
    let reject!: (error: VarveError) => void;
    const promise = new Promise<void>((yes, no) => {
      resolve = yes;
      reject = no;
    });
    this.#warm = { promise, resolve, reject };
    if (![...this.#children].some((child) => child.open)) this.#start();
    return promise;
  }

  /** Takes a batch. Throws when too many wait. */
  add(call: Call): void {
    if (this.#queue.length >= this.#options.maxQueue) {
      throw new VarveError(
        "UNAVAILABLE",
        `Cannot run ${this.#options.child.name}: ${this.#queue.length} batches wait for it already; try later, or give it more processes`,
      );
    }
    this.#queue.push(call);
    this.#dispatch();
  }

  /** Takes a batch back, if nobody has begun it. */
  withdraw(call: Call): void {
    const at = this.#queue.indexOf(call);
    if (at >= 0) this.#queue.splice(at, 1);
  }

  /** Ends all children; batches that wait fail. */
  async close(why: VarveError): Promise<void> {
    clearTimeout(this.#idle);
    for (const call of this.#queue.splice(0)) call.fail(why);
    const children = [...this.#children];
    for (const child of children) child.kill(why);
    await Promise.all(children.map((child) => child.gone));
  }

  #dispatch(): void {
    clearTimeout(this.#idle);
    while (this.#queue.length > 0) {
      let best: Child | undefined;
      let open = 0;
      for (const child of this.#children) {
        if (!child.open || this.#isHeir(child)) continue;
        open += 1;
        if (best === undefined || child.pending < best.pending) best = child;
      }
      // Another child rather than a second batch in line.
      if (best === undefined || (best.pending > 0 && open < this.#options.children)) best = this.#start();
      if (best.pending >= depth) return;
      const call = this.#queue.shift()!;
      call.sends += 1;
      best.send(call);
    }
  }

  #isHeir(child: Child): boolean {
    for (const heir of this.#heirs.values()) if (heir === child) return true;
    return false;
  }

  #start(): Child {
    this.#options.beforeStart();
    this.#starts += 1;
    const child = new Child({
      ...this.#options.child,
      onProgress: (child) => this.#progress(child),
      onLate: (child) => this.#tooLate(child),
      onEnd: (child, unanswered, error) => this.#ended(child, unanswered, error),
    });
    this.#children.add(child);
    return child;
  }

  #progress(child: Child): void {
    if (child.ready) {
      this.#warm?.resolve();
      this.#warm = undefined;
    }
    for (const [worn, heir] of this.#heirs) {
      if (heir !== child || !heir.ready) continue;
      this.#heirs.delete(worn);
      worn.retire();
    }
    const worn = child.answered >= this.#options.recycleAfter || child.busyMs >= this.#options.recycleAfterMs;
    if (worn && child.ready && !this.#heirs.has(child)) this.#heirs.set(child, this.#start());
    this.#dispatch();
    if (this.waiting === 0) this.#restLater();
  }

  /** Nothing to do: children that go on having nothing to do end. */
  #restLater(): void {
    clearTimeout(this.#idle);
    if (!Number.isFinite(this.#options.idleMs)) return;
    this.#idle = setTimeout(() => this.rest(), this.#options.idleMs);
    this.#idle.unref();
  }

  /** What waits behind a batch that takes long goes to another child, so that a row that never ends holds up nobody else. */
  #tooLate(child: Child): void {
    if (this.#late.size >= maxLate) return;
    this.#late.add(child);
    const [call, ...behind] = child.abandon();
    this.#queue.unshift(...behind.filter(({ done }) => !done));
    call!.late?.();
    this.#dispatch();
  }

  #ended(child: Child, unanswered: readonly Call[], error: VarveError | undefined): void {
    this.#children.delete(child);
    this.#late.delete(child);
    this.#heirs.delete(child);
    for (const [worn, heir] of this.#heirs) if (heir === child) this.#heirs.delete(worn);
    if (this.#children.size === 0 && error !== undefined) {
      this.#warm?.reject(error);
      this.#warm = undefined;
      // What does not start does not start for the next batch either.
      if (!child.started) { for (const call of this.#queue.splice(0)) call.fail(error); }
    }
    const again: Call[] = [];
    for (const call of unanswered) {
      if (call.done) continue;
      if (call.sends >= maxSends && error !== undefined) call.fail(error);
      else again.push(call);
    }
    this.#queue.unshift(...again);
    this.#dispatch();
  }
}
