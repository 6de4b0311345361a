/** What every queue must do, as a function of how to make one. */
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { VarveError } from "../../sdk/errors.ts";
import type { Job, LoadOnlineJob, MaterializeJob } from "../../sdk/queue/jobs.ts";
import type { JobContext, Queue, QueueEvent, Running } from "../../sdk/queue/queue.ts";

/** One queue under test; a second call of `another` reaches the same jobs from elsewhere (the same object, where there is no elsewhere). */
export interface QueueRig {
  readonly queue: Queue;
  another(): Promise<Queue>;
  close(): Promise<void>;
}

export const materializeJob = (day: number, options: Partial<MaterializeJob> = {}): MaterializeJob => ({
  name: "materialize",
  workspace: "test",
  view: "trips",
  version: 1,
  start: `2001-01-${String(day).padStart(2, "0")}T00:00:00Z`,
  end: `2001-01-${String(day + 1).padStart(2, "0")}T00:00:00Z`,
  overwrite: false,
  reason: "backfill",
  ...options,
});

const loadJob: LoadOnlineJob = { name: "load-online", workspace: "test", view: "trips", version: 1, rebuild: false };

/** A promise and how to settle it. */
export function deferred<T = void>(): { promise: Promise<T>; resolve: (value: T) => void } {
  let resolve: (value: T) => void = () => {};
  const promise = new Promise<T>((done) => resolve = done);
  return { promise, resolve };
}

/** Resolves with the abort's reason. */
export function aborted(signal: AbortSignal): Promise<unknown> {
  if (signal.aborted) return Promise.resolve(signal.reason);
  return new Promise((resolve) => signal.addEventListener("abort", () => resolve(signal.reason), { once: true }));
}

/** The back-off of the queues under test is a few milliseconds, and their grace for stopped handlers 200 ms. */
export function queueConformance(name: string, make: () => Promise<QueueRig>): void {
  describe(`${name}: queue contract`, () => {
    let rig: QueueRig;
    let queue: Queue;
    let events: QueueEvent[];
    const running: Running[] = [];
    const work = (handler: (job: Job, context: JobContext) => Promise<unknown>, concurrency = 1): Running => {
      const worker = queue.work(handler, { concurrency });
      running.push(worker);
      return worker;
    };
    /** Resolves at the first event like this, also when it was before. */
    const seen = (kind: QueueEvent["kind"], id: string): Promise<QueueEvent> =>
      new Promise((resolve) => {
        const found = events.find((event) => event.kind === kind && event.record.id === id);
        if (found) return resolve(found);
        const stop = queue.watch((event) => {
          if (event.kind !== kind || event.record.id !== id) return;
          stop();
          resolve(event);
        });
      });
    const kindsOf = (id: string) => events.filter((event) => event.record.id === id).map((event) => event.kind);

    beforeEach(async () => {
      rig = await make();
      queue = rig.queue;
      events = [];
      queue.watch((event) => void events.push(event));
    });

    afterEach(async () => {
      for (const worker of running.splice(0)) await worker.close({ deadlineMs: 0 });
      await rig.close();
    });

    it("submit() runs a job once and keeps what its handler returned", async () => {
      work(async (job, { attempt }) => ({ view: job.view, attempt, rows: 12n }));
      const { id, state, attempts } = await queue.submit(materializeJob(1));
      expect([state, attempts]).toEqual(["waiting", 0]);
      const record = await queue.finished(id);
      expect(record).toMatchObject({
        id,
        state: "completed",
        attempts: 1,
        job: materializeJob(1),
        result: { view: "trips", attempt: 1, rows: "12" },
      });
      expect(record.finishedAt!.getTime()).toBeGreaterThanOrEqual(record.startedAt!.getTime());
      expect(await queue.get(id)).toEqual(record);
      await seen("completed", id);
      expect(kindsOf(id)).toEqual(["added", "active", "completed"]);
    });

    it("submit() gives back the job that waits for the same work, and only that", async () => {
      const first = await queue.submit(materializeJob(1));
      const again = await queue.submit(materializeJob(1, { reason: "manual" }));
      expect(again.id).toBe(first.id);
      expect((again.job as MaterializeJob).reason).toBe("backfill");
      const others = [
        materializeJob(2),
        materializeJob(1, { view: "rides" }),
        materializeJob(1, { version: 2 }),
        materializeJob(1, { overwrite: true }),
        loadJob,
      ];
      const ids = await Promise.all(others.map(async (job) => (await queue.submit(job)).id));
      expect(new Set([first.id, ...ids]).size).toBe(6);
      expect(await queue.list({ states: ["waiting"] })).toHaveLength(6);
    });

    it("submit() gives back the job that runs the same work", async () => {
      const go = deferred();
      let runs = 0;
      work(async () => {
        runs++;
        await go.promise;
      });
      const { id } = await queue.submit(materializeJob(1));
      await seen("active", id);
      expect(await queue.submit(materializeJob(1))).toMatchObject({ id, state: "active" });
      go.resolve();
      await queue.finished(id);
      expect(runs).toBe(1);
    });

    it("submit() runs the same work again after it has completed, failed or been cancelled", async () => {
      let runs = 0;
      const ends = deferred();
      work(async (_job, { signal }) => {
        runs++;
        if (runs === 2) throw new VarveError("CORRUPT", "Cannot read it");
        if (runs === 3) {
          ends.resolve();
          await aborted(signal);
          throw new Error("stopped");
        }
        return runs;
      });
      const job = materializeJob(1);
      const { id } = await queue.submit(job);
      await queue.finished(id);
      expect((await queue.submit(job)).state).toBe("waiting");
      await expect(queue.finished(id)).rejects.toMatchObject({ code: "CORRUPT" });
      await queue.submit(job);
      await ends.promise;
      await queue.cancel(id, "enough");
      await expect(queue.finished(id)).rejects.toMatchObject({ code: "CANCELLED" });
      await queue.submit(job);
      expect(await queue.finished(id)).toMatchObject({ state: "completed", result: 4, attempts: 1 });
    });

    it("submitMany() adds all, the same work once, and refuses wrong options before it adds any", async () => {
      const records = await queue.submitMany([1, 2, 3, 2].map((day) => ({ job: materializeJob(day) })));
      expect(records.map((record) => record.id)).toHaveLength(4);
      expect(records[1]!.id).toBe(records[3]!.id);
      expect(await queue.list()).toHaveLength(3);
      const wrong = [{ job: materializeJob(8) }, { job: materializeJob(9), options: { attempts: 0 } }];
      await expect(queue.submitMany(wrong)).rejects.toMatchObject({ code: "INVALID_REQUEST" });
      expect(await queue.list()).toHaveLength(3);
    });

    it("work() runs lower priorities first, and equal ones in the order of submission", async () => {
      const order: string[] = [];
      const days = [[1, 300], [2, 100], [3, 200], [4, 100], [5, 0]] as const;
      for (const [day, priority] of days) await queue.submit(materializeJob(day), { priority });
      const done = Promise.all((await queue.list()).map((record) => queue.finished(record.id)));
      work(async (job) => void order.push((job as MaterializeJob).start.slice(8, 10)));
      await done;
      expect(order).toEqual(["05", "02", "04", "03", "01"]);
    });

    it("work() runs as many jobs at a time as it may", async () => {
      let now = 0;
      let most = 0;
      const three = deferred();
      work(async () => {
        most = Math.max(most, ++now);
        if (now === 3) three.resolve();
        await three.promise;
        now--;
      }, 3);
      const records = await queue.submitMany([1, 2, 3, 4, 5].map((day) => ({ job: materializeJob(day) })));
      await Promise.all(records.map((record) => queue.finished(record.id)));
      expect(most).toBe(3);
    });

    it("a failed job is tried again after a while, with its reason visible in between", async () => {
      work(async (_job, { attempt }) => {
        if (attempt < 3) throw new VarveError("UNAVAILABLE", `Cannot reach it, attempt ${attempt}`);
        return attempt;
      });
      const { id } = await queue.submit(materializeJob(1));
      const delayed = await seen("delayed", id);
      expect(delayed.record).toMatchObject({
        state: "delayed",
        reason: expect.stringMatching(/^Cannot reach it, attempt/),
      });
      expect(await queue.finished(id)).toMatchObject({ state: "completed", attempts: 3, result: 3 });
      await seen("completed", id);
      expect(kindsOf(id).filter((kind) => kind === "active")).toHaveLength(3);
    });

    it("a job that is out of attempts is dead and says why", async () => {
      let runs = 0;
      work(async () => {
        runs++;
        throw new VarveError("UNAVAILABLE", "Cannot reach the source");
      });
      const { id } = await queue.submit(materializeJob(1), { attempts: 2 });
      await expect(queue.finished(id)).rejects.toMatchObject({
        code: "UNAVAILABLE",
        message: expect.stringMatching(/materialize "trips" version 1.*failed 2 times.*Cannot reach the source/),
      });
      expect(runs).toBe(2);
      expect(await queue.list({ states: ["failed"] })).toMatchObject([{
        id,
        reason: "Cannot reach the source",
        code: "UNAVAILABLE",
        attempts: 2,
      }]);
    });

    it("an error that trying again cannot help is final at once", async () => {
      let runs = 0;
      work(async () => {
        runs++;
        throw new VarveError("SCHEMA_MISMATCH", "Cannot read column a");
      });
      const { id } = await queue.submit(materializeJob(1));
      await expect(queue.finished(id)).rejects.toMatchObject({ code: "SCHEMA_MISMATCH" });
      expect(runs).toBe(1);
    });

    it("retry() puts a dead job back in line with all its attempts", async () => {
      let healed = false;
      let runs = 0;
      work(async () => {
        runs++;
        if (!healed) throw new Error("not yet");
        return "healed";
      });
      const { id } = await queue.submit(materializeJob(1), { attempts: 2 });
      await expect(queue.finished(id)).rejects.toThrow("not yet");
      expect(await queue.retry(id)).toBe(true);
      await expect(queue.finished(id)).rejects.toThrow("failed 2 times");
      expect(runs).toBe(4);
      healed = true;
      await queue.retry(id);
      const record = await queue.finished(id);
      expect(record).toMatchObject({ state: "completed", result: "healed", attempts: 1 });
      expect(record.reason).toBeUndefined();
      expect(await queue.retry(id)).toBe(false);
      expect(await queue.retry("no-such-job")).toBe(false);
    });

    it("submit() with a delay keeps the job until its time", async () => {
      const ran = deferred();
      work(async () => ran.resolve());
      const { id } = await queue.submit(materializeJob(1), { delayMs: 3_600_000 });
      await seen("delayed", id);
      expect((await queue.get(id))!.state).toBe("delayed");
      expect(await queue.submit(materializeJob(1))).toMatchObject({ id, state: "delayed" });
      const soon = await queue.submit(materializeJob(2), { delayMs: 20 });
      expect(await queue.finished(soon.id)).toMatchObject({ state: "completed" });
      expect((await queue.get(id))!.state).toBe("delayed");
      expect(await queue.cancel(id, "not wanted")).toBe(true);
    });

    it("cancel() ends a waiting job before it runs", async () => {
      const { id } = await queue.submit(materializeJob(1));
      const other = await queue.submit(materializeJob(2));
      const rejected = expect(queue.finished(id)).rejects.toMatchObject({
        code: "CANCELLED",
        message: expect.stringContaining("not needed"),
      });
      expect(await queue.cancel(id, "not needed")).toBe(true);
      await rejected;
      await seen("cancelled", id);
      const ran: string[] = [];
      work(async (_job, context) => void ran.push(context.id));
      await queue.finished(other.id);
      expect(ran).toEqual([other.id]);
      expect(await queue.get(id)).toMatchObject({ state: "cancelled", reason: "not needed", code: "CANCELLED" });
      expect(await queue.list({ states: ["cancelled"] })).toHaveLength(1);
      expect(await queue.cancel(id, "again")).toBe(false);
      expect(await queue.cancel("no-such-job", "x")).toBe(false);
    });

    it("cancel() stops a running job, from anywhere, and it is not tried again", async () => {
      const reasons: unknown[] = [];
      let runs = 0;
      work(async (_job, { signal }) => {
        runs++;
        reasons.push(await aborted(signal));
        throw new Error("gave up");
      });
      const { id } = await queue.submit(materializeJob(1));
      await seen("active", id);
      const elsewhere = await rig.another();
      expect(await elsewhere.cancel(id, "wrong range")).toBe(true);
      await expect(queue.finished(id)).rejects.toMatchObject({
        code: "CANCELLED",
        message: expect.stringContaining("wrong range"),
      });
      expect(reasons).toMatchObject([{ code: "CANCELLED" }]);
      expect(runs).toBe(1);
      expect(await queue.list({ states: ["cancelled"] })).toMatchObject([{ id, reason: "wrong range" }]);
      expect(await queue.list({ states: ["failed"] })).toEqual([]);
      await seen("cancelled", id);
    });

    it("cancel() goes on without a handler that does not listen", async () => {
      const forever = deferred();
      work(async () => await forever.promise);
      const { id } = await queue.submit(materializeJob(1));
      await seen("active", id);
      await queue.cancel(id, "deaf");
      await expect(queue.finished(id)).rejects.toMatchObject({ code: "CANCELLED" });
      forever.resolve();
    });

    it("retry() puts a cancelled job back in line", async () => {
      const { id } = await queue.submit(materializeJob(1));
      await queue.cancel(id, "a mistake");
      expect(await queue.retry(id)).toBe(true);
      work(async () => "ran");
      expect(await queue.finished(id)).toMatchObject({ state: "completed", result: "ran" });
      expect(await queue.list()).toHaveLength(1);
    });

    it("progress is told to watchers and kept on the record", async () => {
      work(async (_job, { progress }) => {
        await progress({ slicesDone: 1, rows: 5n });
        await progress({ slicesDone: 2, rows: 9n });
      });
      const { id } = await queue.submit(materializeJob(1));
      expect(await queue.finished(id)).toMatchObject({ progress: { slicesDone: 2, rows: "9" } });
      await seen("completed", id);
      const told = events.filter((event) => event.kind === "progress").map((event) => event.record.progress);
      expect(told).toEqual([{ slicesDone: 1, rows: "5" }, { slicesDone: 2, rows: "9" }]);
    });

    it("close() of a worker waits for what runs and takes no more", async () => {
      const go = deferred();
      const ran: string[] = [];
      const worker = work(async (_job, { id }) => {
        ran.push(id);
        await go.promise;
        return "done";
      });
      const { id } = await queue.submit(materializeJob(1));
      await seen("active", id);
      const next = await queue.submit(materializeJob(2));
      const closed = worker.close({ deadlineMs: 20_000 });
      go.resolve();
      await closed;
      expect(await queue.get(id)).toMatchObject({ state: "completed", result: "done" });
      expect(await queue.get(next.id)).toMatchObject({ state: "waiting" });
      expect(ran).toEqual([id]);
    });

    it("close() of a worker hands back what does not end in time, and another worker runs it", async () => {
      const reasons: unknown[] = [];
      const worker = work(async (_job, { signal }) => {
        reasons.push(await aborted(signal));
        throw new VarveError("CANCELLED", "Cannot materialize: it was stopped");
      });
      const { id } = await queue.submit(materializeJob(1), { attempts: 1 });
      await seen("active", id);
      await worker.close({ deadlineMs: 10 });
      expect(reasons).toMatchObject([{ code: "UNAVAILABLE" }]);
      expect(await queue.get(id)).toMatchObject({ state: "waiting", attempts: 1 });
      work(async (_job, { attempt }) => attempt);
      expect(await queue.finished(id)).toMatchObject({ state: "completed", result: 2 });
      await seen("waiting", id);
    });

    it("finished() says TIMEOUT, CANCELLED and NOT_FOUND", async () => {
      const { id } = await queue.submit(materializeJob(1));
      await expect(queue.finished(id, { timeoutMs: 20 })).rejects.toMatchObject({ code: "TIMEOUT" });
      await expect(queue.finished(id, { signal: AbortSignal.abort() })).rejects.toMatchObject({ code: "CANCELLED" });
      await expect(queue.finished("no-such-job")).rejects.toMatchObject({ code: "NOT_FOUND" });
      expect((await queue.get(id))!.state).toBe("waiting");
    });

    it("list() filters by state, view and workspace, newest first, up to the limit", async () => {
      const ids: string[] = [];
      for (const [index, view] of ["a", "b", "a"].entries()) {
        ids.push((await queue.submit(materializeJob(index + 1, { view }))).id);
        await new Promise((resolve) => setTimeout(resolve, 2)); // so that the milliseconds of their submissions differ
      }
      expect((await queue.list({ view: "a" })).map((record) => record.id)).toEqual([ids[2], ids[0]]);
      expect(await queue.list({ states: ["active", "failed"] })).toEqual([]);
      expect(await queue.list({ workspace: "other" })).toEqual([]);
      expect((await queue.list({ limit: 1 })).map((record) => record.id)).toEqual([ids[2]]);
    });

    it("workers() lists who lives", async () => {
      const startedAt = new Date("2001-01-01T00:00:00Z");
      const worker = { id: "w1", host: "h", pid: 7, concurrency: 2, startedAt, jobs: ["j"] };
      await queue.beat(worker);
      await queue.beat({ ...worker, id: "w2" });
      expect((await (await rig.another()).workers()).map((each) => each.id).sort()).toEqual(["w1", "w2"]);
      expect(await queue.workers()).toContainEqual({ ...worker, seenAt: expect.any(Date) });
      await queue.leave("w2");
      expect((await queue.workers()).map((each) => each.id)).toEqual(["w1"]);
    });

    it("a watcher that throws harms neither jobs nor other watchers", async () => {
      queue.watch(() => {
        throw new Error("a bad watcher");
      });
      work(async () => 1);
      const { id } = await queue.submit(materializeJob(1));
      await queue.finished(id);
      await seen("completed", id);
    });

    it("close() ends waits and refuses further use", async () => {
      const { id } = await queue.submit(materializeJob(1));
      const waiting = expect(queue.finished(id)).rejects.toMatchObject({ code: "UNAVAILABLE" });
      await queue.get(id);
      await queue.close();
      await waiting;
      await expect(queue.submit(materializeJob(2))).rejects.toMatchObject({ code: "UNAVAILABLE" });
    });
  });
}
