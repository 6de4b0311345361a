// One of the servers that guard.ts compares, from the build as users run it: node guard_server.mjs FOLDER [keys] [metrics].
import { join } from "node:path";
import { tmpdir } from "node:os";
import process from "node:process";
import { readConfig } from "../../cluster/dist/config.js";
import { openAuthenticator } from "../../cluster/dist/server/auth.js";
import { ServerMetrics } from "../../cluster/dist/server/metrics.js";
import { startServer } from "../../cluster/dist/server/server.js";
import { openServing } from "../../sdk/dist/serving.js";
import { ManualClock, systemClock } from "../../sdk/dist/time.js";

const [folder, ...parts] = process.argv.slice(2);
const clock = new ManualClock("2001-01-06");
const storage = join(folder, "store");
const metrics = parts.includes("metrics") ? new ServerMetrics({ version: "0", workspace: "default" }) : undefined;
const serving = await openServing({ storage, clock, ...(metrics && { observer: metrics }) });
const opened = parts.includes("keys")
  ? await openAuthenticator({ storage }, { workspace: "default", clock: systemClock })
  : undefined;
const server = await startServer({
  serving,
  workspace: "default",
  clock,
  logger: { debug: () => {}, info: () => {}, warn: console.error, error: console.error },
  config: {
    ...readConfig({ env: {}, folder: tmpdir() }).server,
    port: 0,
    accessLog: parts.includes("metrics") ? "errors" : "off",
    ...(parts.includes("keys") && { ratePerSecond: 1_000_000 }),
  },
  ...(metrics && { metrics }),
  ...(opened && { auth: opened.auth }),
});
process.on("message", () => process.send({ cpu: process.cpuUsage() }));
process.on("SIGINT", () => process.exit());
process.send({ url: server.url });
