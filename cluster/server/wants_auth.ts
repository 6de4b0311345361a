/** Whether a server asks for API keys. */
import type { ServerConfig } from "../config.ts";

/** What decides it. */
export interface AuthChoice {
  readonly isOn: boolean;
  /** For whoever starts the server; empty where there is nothing to say. */
  readonly note: string;
}

/** `--auth` or `--no-auth` of the command, else VARVE_AUTH; with neither, keys are asked for. */
export function wantsAuth(config: ServerConfig, flag: unknown): AuthChoice {
  const word = typeof flag === "boolean" ? (flag ? "on" : "off") : config.auth;
  if (word !== "off") return { isOn: true, note: "" };
  return { isOn: false, note: "authentication is off: this computer may ask without a key, nobody else may" };
}
