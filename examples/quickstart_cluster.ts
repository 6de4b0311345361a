/**
 * Runs quickstart.ts, unchanged, on a cluster: a real Redis, an S3 endpoint and two worker processes, one of which is killed
 * (-9) in the middle of the backfill. The end must be the same: 0 mismatches.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { startRedis } from "../test/support/redis.ts";
import { startS3 } from "../test/support/s3_server.ts";

const folder = await mkdtemp(join(tmpdir(), "varve-cluster-"));
const [redis, s3] = await Promise.all([startRedis({ appendonly: true }), startS3({ folder: join(folder, "s3") })]);
const env = {
  ...process.env,
  VARVE_WORKSPACE: "quickstart",
  VARVE_CLOCK: "2001-07-01T00:00Z",
  VARVE_STORAGE: `s3://${s3.bucket}/features`,
  VARVE_S3_ENDPOINT: s3.endpoint,
  VARVE_S3_ACCESS_KEY_ID: s3.accessKeyId,
  VARVE_S3_SECRET_ACCESS_KEY: s3.secretAccessKey,
  VARVE_REDIS: redis.url,
  VARVE_CACHE_FOLDER: join(folder, "cache"),
};
const say = (text: string) => console.log(`\x1b[36m[cluster]\x1b[0m ${text}`);
say(`Redis ${redis.url}, S3 ${s3.endpoint}`);

const children: ChildProcess[] = [];
try {
  const [victim, survivor] = [startWorker("A"), startWorker("B")];
  await Promise.all([victim.ready, survivor.ready]);
  // In the middle of its second job, when parts are being written and nothing of it is committed.
  void victim.startedJobs(2).then((job) => {
    victim.child.kill("SIGKILL");
    say(`worker A killed (-9) while it ran: ${job}`);
  });
  const tsx = new URL("../node_modules/.bin/tsx", import.meta.url).pathname;
  const program = spawn(tsx, [new URL("quickstart.ts", import.meta.url).pathname], { env, stdio: "inherit" });
  children.push(program);
  const [code] = await once(program, "exit") as [number | null];
  const wasKilled = victim.child.signalCode === "SIGKILL";
  say(
    wasKilled
      ? "worker A did not come back; worker B finished its job"
      : "worker A was never killed: it did not get a second job",
  );
  process.exitCode = code === 0 && wasKilled ? 0 : 1;
} finally {
  for (const child of children) child.kill("SIGTERM");
  await Promise.all(
    children.filter((child) => child.exitCode === null && child.signalCode === null).map((child) =>
      once(child, "exit")
    ),
  );
  await Promise.all([redis.stop(), s3.close()]);
  await rm(folder, { recursive: true, force: true });
}

interface StartedWorker {
  readonly child: ChildProcess;
  readonly ready: Promise<void>;
  /** Resolves with the description of the nth job that it starts. */
  startedJobs(count: number): Promise<string>;
}

/** Starts `varve worker` and follows its log. */
function startWorker(name: string): StartedWorker {
  const command = new URL("../cluster/bin/varve.js", import.meta.url).pathname;
  const child = spawn(process.execPath, [command, "worker"], { env, stdio: ["ignore", "pipe", "pipe"] });
  children.push(child);
  const ready = once(child.stdout, "data").then(() => say(`worker ${name} is up, process ${child.pid}`));
  const started: string[] = [];
  const waiting: { count: number; resolve: (job: string) => void }[] = [];
  createInterface({ input: child.stderr }).on("line", (line) => {
    const { level, msg } = parse(line);
    if (level === "error") say(`worker ${name}: ${msg}`);
    if (!msg.startsWith("started ")) return;
    started.push(msg.slice("started ".length));
    for (const { count, resolve } of waiting) if (started.length >= count) resolve(started[count - 1]!);
  });
  return {
    child,
    ready,
    startedJobs: (count) => new Promise((resolve) => waiting.push({ count, resolve })),
  };
}

function parse(line: string): { level: string; msg: string } {
  try {
    return { level: "", msg: "", ...JSON.parse(line) as object };
  } catch {
    return { level: "error", msg: line };
  }
}
