import { systemClock } from "../../../sdk/time.ts";
import { InProcessQueue } from "../../../sdk/queue/in_process.ts";
import { queueConformance } from "../../conformance/queue.ts";

queueConformance("InProcessQueue", async () => {
  const queue = new InProcessQueue({ clock: systemClock, backoff: { baseMs: 5 }, graceMs: 200 });
  return { queue, another: async () => queue, close: () => queue.close() };
});
