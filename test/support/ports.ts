/** Ports for servers that tests start, and start again where they were. */
import { once } from "node:events";
import { createServer } from "node:net";

/**
 * Below those that systems give to whoever connects somewhere: between now and the server's start, and while it is down, nobody
 * else comes to have one of these.
 */
const range = { from: 10_000, to: 32_000 };

/** Ports of this computer at which nobody listens, each another one. */
export async function freePorts(count: number): Promise<number[]> {
  const found = new Set<number>();
  while (found.size < count) {
    const port = range.from + Math.floor(Math.random() * (range.to - range.from));
    if (await isFree(port)) found.add(port);
  }
  return [...found];
}

async function isFree(port: number): Promise<boolean> {
  const probe = createServer();
  try {
    await once(probe.listen(port, "127.0.0.1"), "listening");
  } catch {
    return false;
  }
  await new Promise((resolve) => probe.close(resolve));
  return true;
}
