/** A worker process of the tests: `url prefix behaviour lockMs`. Says on standard output what it does; runs until killed. */
import { openRedisQueue } from "../../../cluster/queue/redis_queue.ts";

const [url, prefix, behaviour, lockMs] = process.argv.slice(2) as [string, string, "hang" | "die", string];
const lock = Number(lockMs);
const queue = await openRedisQueue({
  url,
  prefix,
  workspace: "test",
  lockMs: lock,
  stalledMs: lock * 0.4,
  graceMs: 200,
});
const say = (text: string) => process.stdout.write(`${text}\n`);

queue.work(async (_job, { id, signal, attempt }) => {
  say(`started ${id} attempt ${attempt}`);
  if (behaviour === "die") process.kill(process.pid, "SIGKILL");
  await new Promise((resolve) => signal.addEventListener("abort", resolve, { once: true }));
  say(`aborted ${id} ${signal.reason.code}`);
});
say("ready");
