/**
 * What columns a SELECT gives, while the caller waits. DuckDB answers only asynchronously, so it is asked in a thread while
 * this one sleeps; the thread's code is text because it runs from sources and from the build alike. Node and Deno.
 */
import { createRequire } from "node:module";
import { Worker } from "node:worker_threads";
import { VarveError } from "../errors.ts";
import { parseDuckType } from "./duck_type.ts";
import type { DuckType } from "./duck_type.ts";

/** The columns, or DuckDB's message. */
export type Described = { readonly columns: { readonly name: string; readonly type: DuckType }[] } | {
  readonly error: string;
};

const code = `
const { workerData } = require("node:worker_threads");
const { DuckDBInstance } = require(workerData.library);
const flags = new Int32Array(workerData.buffer, 0, 2);
function answer(value) {
  let bytes = Buffer.from(JSON.stringify(value));
  if (bytes.length > workerData.buffer.byteLength - 8) bytes = Buffer.from(JSON.stringify({ error: "the answer is too long" }));
  new Uint8Array(workerData.buffer, 8).set(bytes);
  flags[1] = bytes.length;
  Atomics.store(flags, 0, 1);
  Atomics.notify(flags, 0);
}
async function describe() {
  const instance = await DuckDBInstance.create(":memory:", {
    threads: "1", autoinstall_known_extensions: "false", autoload_known_extensions: "false",
  });
  const connection = await instance.connect();
  try {
    await connection.run("SET TimeZone = 'UTC'");
    const reader = await connection.runAndReadAll(workerData.sql);
    return { rows: reader.getRowsJson() };
  } finally {
    connection.closeSync();
    instance.closeSync();
  }
}
describe().catch((error) => ({ error: String((error && error.message) || error) })).then(answer);
`;

const limitMs = 60_000;

/** Describes a SELECT. Blocks this thread for about a tenth of a second. */
export function describeInThread(sql: string): Described {
  const answer = askInThread(`DESCRIBE ${sql}`);
  if ("error" in answer) return answer;
  return { columns: answer.rows.map(([name, type]) => ({ name: String(name), type: parseDuckType(String(type)) })) };
}

/** Rows of JSON values, or DuckDB's message. */
export type Answer = { readonly rows: readonly (readonly unknown[])[] } | { readonly error: string };

/** Runs one statement with a small result. Blocks this thread. */
export function askInThread(sql: string): Answer {
  const buffer = new SharedArrayBuffer(4 * 1024 * 1024);
  const flags = new Int32Array(buffer, 0, 2);
  // A path, because text has no place of its own to look from.
  const library = createRequire(import.meta.url).resolve(["@duckdb", "node-api"].join("/"));
  const worker = new Worker(code, { eval: true, workerData: { buffer, sql, library } });
  // It ends by itself once it has answered; ending it by force in the middle of native work would end this process too.
  worker.unref();
  if (Atomics.wait(flags, 0, 0, limitMs) === "timed-out") {
    throw new VarveError(
      "TIMEOUT",
      "Cannot tell the columns of a source: the engine did not answer within a minute; declare schema",
    );
  }
  return JSON.parse(Buffer.from(new Uint8Array(buffer, 8, flags[1]).slice()).toString("utf8")) as Answer;
}
