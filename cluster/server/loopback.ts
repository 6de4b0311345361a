/** Addresses that only this computer reaches. */
import { isIP } from "node:net";

/** Whether a server that listens here is reached from this computer only. */
export function isLoopback(host: string): boolean {
  return host === "localhost" || host === "::1" || (isIP(host) === 4 && host.startsWith("127."));
}

/**
 * Whether a `Host` header names this computer. A page from elsewhere can make a browser on this computer ask by a name of its
 * own that leads to 127.0.0.1; the header still has that name.
 */
export function isLoopbackHost(header: string | undefined): boolean {
  const host = /^(?:\[([0-9a-f:]+)\]|([^:]+))(?::\d{1,5})?$/i.exec(header ?? "");
  return host !== null && isLoopback((host[1] ?? host[2]!).toLowerCase());
}
