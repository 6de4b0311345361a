/** Structured logs: one JSON object a line, on standard error; the door to pino. */
import { pino } from "pino";

/** What the processes log with. */
export interface Logger {
  debug(details: object, message: string): void;
  info(details: object, message: string): void;
  warn(details: object, message: string): void;
  error(details: object, message: string): void;
}

/** Never written, wherever they stand in what is logged. */
const secrets = ["secretAccessKey", "accessKeyId", "password", "authorization", "redis", "queueRedis"];

/** A logger for a process with this role. */
export function createLogger(role: string, level: string): Logger {
  return pino(
    {
      level,
      base: { role, pid: process.pid },
      timestamp: pino.stdTimeFunctions.isoTime,
      redact: { paths: secrets.flatMap((name) => [name, `*.${name}`, `*.*.${name}`]), censor: "[hidden]" },
      formatters: { level: (label) => ({ level: label }) },
    },
    pino.destination({ fd: 2, sync: true }),
  );
}
