/** Feast's `/materialize` and `/materialize-incremental`: jobs for the workers, by way of the queue. Loads no engine. */
import { messageOf, toMicros, VarveError } from "varve";
import type { Job, JobRecord, Queue } from "varve/cluster";
import { manualJobs } from "varve/serving";
import type { MaterializeJob, RegisteredView, RegistryState, ViewVersion } from "varve/serving";
import type { FastifyInstance, FastifyReply, FastifyRequest } from "./fastify.ts";
import { feastSchemas } from "./feast_schema.ts";
import type { ReadRoutes } from "./tecton.ts";

/** What the routes submit to. */
export interface MaterializeRoutes extends ReadRoutes {
  /** Gives the queue, opened when it is first wanted; absent where this server's jobs are in another process. */
  readonly queue?: () => Promise<Queue>;
}

interface Body {
  readonly start_ts?: string | null;
  readonly end_ts?: string | null;
  readonly disable_event_timestamp?: boolean;
  readonly feature_views?: readonly string[] | null;
  readonly version?: string | null;
}

/** A version that is computed, and with which jobs. */
interface Target {
  readonly version: ViewVersion;
  readonly jobs: readonly MaterializeJob[];
}

/** The longest a client is kept waiting; the jobs go on. */
const waitMs = 600_000;
/** By hand comes before everything that is due anyway. */
const options = { priority: 1 } as const;
/** The most jobs that are looked at to see what runs, and that one request may bring. */
const maxJobs = 10_000;

/** Adds the routes. */
export async function materializeRoutes(app: FastifyInstance, routes: MaterializeRoutes): Promise<void> {
  const closing = new AbortController();
  app.addHook("preClose", (done) => {
    closing.abort(new VarveError("UNAVAILABLE", "Cannot wait for the jobs any longer: the server ends; they go on"));
    done();
  });
  const config = { access: "publish" } as const;
  const answer = (overwrite: boolean) => async (request: FastifyRequest, reply: FastifyReply) => {
    const body = request.body as Body;
    const { async: later, force } = request.query as { readonly async?: string; readonly force?: string };
    const queue = await openQueue(routes);
    const range = rangeOf(body, overwrite);
    const state = await routes.serving.definitions(AbortSignal.timeout(routes.config.requestTimeoutMs));
    const { workspace, clock } = routes;
    const targets = versionsOf(state, body).map((version): Target => ({
      version,
      jobs: manualJobs({ workspace, version, range, now: clock.now(), overwrite }),
    }));
    const names = [...new Set(targets.map(({ version }) => version.definition.name))];
    const jobs = targets.flatMap((target) => target.jobs);
    if (jobs.length > maxJobs) throw tooMuch(jobs.length);
    if (isOn(later)) {
      if (!isOn(force)) await refuseRunning(queue, workspace, names);
      const records = await queue.submitMany(jobs.map((job) => ({ job, options })));
      return await reply.code(202).send({
        status: "accepted",
        feature_views: names,
        jobs: records.map(({ id }) => id),
      });
    }
    const signal = whileConnected(reply, closing.signal);
    const versions = await done(queue, workspace, targets, signal);
    return await reply.send({ status: "done", feature_views: names, versions });
  };
  app.post("/materialize", { schema: feastSchemas.materialize, config }, answer(true));
  app.post("/materialize-incremental", { schema: feastSchemas.materializeIncremental, config }, answer(false));
  await Promise.resolve();
}

function tooMuch(count: number): VarveError {
  return new VarveError(
    "INVALID_REQUEST",
    `Cannot materialize so much at once: it takes ${count} jobs, and the limit is ${maxJobs}; name fewer views, or a shorter range`,
    { details: { jobs: count, limit: maxJobs } },
  );
}

function isOn(text: string | undefined): boolean {
  return text !== undefined && ["true", "True", "1"].includes(text);
}

async function openQueue({ queue }: MaterializeRoutes): Promise<Queue> {
  if (queue) return await queue();
  throw new VarveError(
    "UNSUPPORTED",
    "Cannot materialize: this server has no queue, since its store is embedded; run `varve materialize VIEW`, or serve with `varve up`, or let server and workers share a Redis",
  );
}

/** Loading again means computing again from the source; incremental means what is missing. */
function rangeOf(body: Body, needsStart: boolean): { start?: bigint; end?: bigint } {
  if (body.disable_event_timestamp === true) return {};
  const start = instant("start_ts", body.start_ts);
  const end = instant("end_ts", body.end_ts);
  if (needsStart && (start === undefined || end === undefined)) {
    const text = "Cannot materialize: start_ts and end_ts are missing; give both, or disable_event_timestamp: true";
    throw new VarveError("INVALID_REQUEST", text);
  }
  if (start !== undefined && end !== undefined && start >= end) {
    const text = `Cannot materialize from ${body.start_ts} to ${body.end_ts}: start_ts must be before end_ts`;
    throw new VarveError("INVALID_REQUEST", text);
  }
  return { ...(start !== undefined && { start }), ...(end !== undefined && { end }) };
}

function instant(name: string, text: string | null | undefined): bigint | undefined {
  if (text === undefined || text === null) return undefined;
  try {
    return toMicros(text);
  } catch (error) {
    throw new VarveError("INVALID_REQUEST", `Cannot materialize: ${name} is wrong: ${messageOf(error)}`);
  }
}

/** The versions that are meant: of each view what serves and what is being built, or the one that is named. */
function versionsOf(state: RegistryState, { feature_views: named, version }: Body): ViewVersion[] {
  const all = Object.keys(state.views);
  const unknown = (named ?? []).filter((name) => !all.includes(name));
  if (unknown.length > 0) {
    throw new VarveError(
      "NOT_FOUND",
      `Cannot materialize ${unknown.map((name) => JSON.stringify(name)).join(", ")}: views are ${
        all.join(", ") || "none"
      }`,
      { details: { views: unknown } },
    );
  }
  const views = (named ?? all).map((name) => state.views[name]!);
  if (typeof version === "string") return [oneVersion(views, named ?? [], version)];
  return [...new Set(views)].flatMap((view) =>
    view.versions.filter(({ version: number, definition }) =>
      (number === view.serving || number === view.building) && (definition.online || named != null)
    )
  );
}

function oneVersion(views: readonly RegisteredView[], named: readonly string[], text: string): ViewVersion {
  const [view] = views;
  if (named.length !== 1 || !view) {
    throw new VarveError("INVALID_REQUEST", "Cannot materialize a version: name the one view in feature_views");
  }
  const number = Number(text.replace("v", ""));
  const version = view.versions.find((each) => each.version === number);
  if (version) return version;
  throw new VarveError(
    "NOT_FOUND",
    `Cannot materialize version ${number} of view "${view.name}": its versions are ${
      view.versions.map((each) => each.version).join(", ")
    }`,
    { details: { view: view.name, version: number } },
  );
}

async function refuseRunning(queue: Queue, workspace: string, names: readonly string[]): Promise<void> {
  const records = await queue.list({ workspace, states: ["waiting", "delayed", "active"], limit: maxJobs });
  const running = new Set(records.filter(({ job }) => job.name === "materialize").map(({ job }) => job.view));
  const conflicts = names.filter((name) => running.has(name));
  if (conflicts.length === 0) return;
  throw new VarveError(
    "CONFLICT",
    `Cannot begin to materialize ${
      conflicts.map((name) => `"${name}"`).join(", ")
    }: jobs of it wait or run; wait for them, or ask with force=true`,
    { details: { feature_views: conflicts } },
  );
}

/** Raised when nobody waits any more: the client has gone, the server ends, or it has taken too long. */
function whileConnected(reply: FastifyReply, closing: AbortSignal): AbortSignal {
  const gone = new AbortController();
  reply.raw.once("close", () => gone.abort());
  // A connection that is silent for as long as jobs take is not idle.
  reply.raw.setTimeout(0);
  return AbortSignal.any([gone.signal, closing, AbortSignal.timeout(waitMs)]);
}

/** Runs the jobs, then what brings their result online. */
async function done(
  queue: Queue,
  workspace: string,
  targets: readonly Target[],
  signal: AbortSignal,
): Promise<object[]> {
  return await Promise.all(targets.map(async ({ version: { definition, version }, jobs }) => {
    const view = definition.name;
    const computed = (await finished(queue, jobs, signal)).map(countsOf);
    const load = { name: "load-online", workspace, view, version, rebuild: false } as const;
    const loaded = definition.online ? (await finished(queue, [load], signal)).map(countsOf) : [];
    return {
      name: view,
      version,
      slices: computed.reduce((sum, { slices = 0 }) => sum + slices, 0),
      rows: computed.reduce((sum, { rows = 0 }) => sum + rows, 0),
      online_rows: loaded[0]?.rows ?? 0,
    };
  }));
}

async function finished(
  queue: Queue,
  jobs: readonly Job[],
  signal: AbortSignal,
): Promise<JobRecord[]> {
  const records = await queue.submitMany(jobs.map((job) => ({ job, options })));
  try {
    return await Promise.all(records.map(({ id }) => queue.finished(id, { signal })));
  } catch (error) {
    if (!signal.aborted) throw error;
    if (signal.reason instanceof VarveError) throw signal.reason;
    throw new VarveError(
      "TIMEOUT",
      "Cannot wait for the jobs any longer; they go on: `varve status` shows them, and async=true does not wait",
      { details: { jobs: records.map(({ id }) => id) } },
    );
  }
}

function countsOf(record: JobRecord): { readonly slices?: number; readonly rows?: number } {
  return record.result as { slices?: number; rows?: number } | undefined ?? {};
}
