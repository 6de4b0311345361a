import { mkdtempSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { readConfig } from "../../cluster/config.ts";
import { VarveError } from "../../sdk/errors.ts";

const folder = () => mkdtempSync(join(tmpdir(), "varve-config-"));

function problems(read: () => unknown): string[] {
  try {
    read();
  } catch (error) {
    expect(error).toBeInstanceOf(VarveError);
    expect((error as VarveError).code).toBe("INVALID_CONFIG");
    return ((error as VarveError).details["issues"] as { path: string; message: string }[]).map((issue) => issue.path);
  }
  return [];
}

describe("readConfig()", () => {
  it("reads how functions are run", () => {
    const env = { VARVE_DENO: "/opt/deno", VARVE_FUNCTION_TIMEOUT_MS: "700", VARVE_FUNCTION_MEMORY_MB: "800" };
    expect(readConfig({ env, folder: folder() }).functions).toEqual({
      deno: "/opt/deno",
      timeoutMs: 700,
      memoryMb: 800,
      processes: 1,
    });
    expect(problems(() => readConfig({ env: { VARVE_FUNCTION_MEMORY_MB: "8" }, folder: folder() }))).toEqual([
      "VARVE_FUNCTION_MEMORY_MB",
    ]);
  });

  it("is embedded, on loopback, by default", () => {
    const here = folder();
    const config = readConfig({ env: {}, folder: here });
    expect(config.storage).toBe(join(here, ".varve"));
    expect(config.redis).toBeUndefined();
    expect(config.server).toMatchObject({ host: "127.0.0.1", port: 6566, processes: 1, accessLog: "errors" });
    // Whether keys are asked for is left to the command.
    expect(config.server.auth).toBeUndefined();
    expect(Object.isFrozen(config)).toBe(true);
  });

  it("reads the file, and the environment over it", () => {
    const here = folder();
    writeFileSync(
      join(here, "varve.json"),
      JSON.stringify({ workspace: "prod", server: { port: 7000, host: "127.0.0.2" } }),
    );
    const config = readConfig({ env: { VARVE_PORT: "7001" }, folder: here });
    expect(config.workspace).toBe("prod");
    expect(config.server).toMatchObject({ host: "127.0.0.2", port: 7001 });
  });

  it("names every problem at once", () => {
    const here = folder();
    writeFileSync(join(here, "varve.json"), JSON.stringify({ workspace: "no spaces", wrong: 1, clock: "noon" }));
    const env = { VARVE_PORT: "http", VARVE_NOPE: "1", VARVE_STORAGE: "s3://bucket", VARVE_S3_ACCESS_KEY_ID: "a" };
    const found = problems(() => readConfig({ env, folder: here }));
    expect(found).toEqual(expect.arrayContaining(["VARVE_PORT", "VARVE_NOPE", "workspace", "clock"]));
  });

  it("reads the command line over the environment, and names what was typed", () => {
    const env = { VARVE_PORT: "http", VARVE_PROCESSES: "2" };
    const config = readConfig({ env, flags: { "--port": "7002", "--host": "127.0.0.3" }, folder: folder() });
    expect(config.server).toMatchObject({ host: "127.0.0.3", port: 7002, processes: 2 });
    const wrong = { "--port": "99999", "--host": "", "--processes": "many" };
    expect(problems(() => readConfig({ env, flags: wrong, folder: folder() }))).toEqual([
      "--processes",
      "--host",
      "--port",
    ]);
  });

  it("reads limits and switches of the server", () => {
    const env = { VARVE_AUTH: "off", VARVE_PROCESSES: "2", VARVE_RATE_PER_SECOND: "0.5", VARVE_ACCESS_LOG: "0.01" };
    const config = readConfig({ env, folder: folder() });
    expect(config.server).toMatchObject({ auth: "off", processes: 2, ratePerSecond: 0.5, accessLog: 0.01 });
    expect(readConfig({ env: { VARVE_ACCESS_LOG: "all" }, folder: folder() }).server.accessLog).toBe("all");
    const origins = (text: string) =>
      readConfig({ env: { VARVE_CORS_ORIGINS: text }, folder: folder() }).server.corsOrigins;
    expect(origins("https://a.example.com, http://localhost:3000")).toEqual([
      "https://a.example.com",
      "http://localhost:3000",
    ]);
    for (
      const text of ["https://a.example.com/", "https://a.example.com:443", "a.example.com", "https://*.example.com"]
    ) {
      expect(problems(() => origins(text))).toEqual(["VARVE_CORS_ORIGINS"]);
    }
    const wrong = {
      VARVE_AUTH: "no",
      VARVE_PROCESSES: "0",
      VARVE_RATE_PER_SECOND: "0",
      VARVE_ACCESS_LOG: "some",
      VARVE_MAX_IN_FLIGHT: "many",
    };
    expect(problems(() => readConfig({ env: wrong, folder: folder() }))).toEqual([
      "VARVE_MAX_IN_FLIGHT",
      "VARVE_AUTH",
      "VARVE_PROCESSES",
      "VARVE_RATE_PER_SECOND",
      "VARVE_ACCESS_LOG",
    ]);
  });

  it("asks for a Redis beside S3, and for both halves of a key", () => {
    const env = { VARVE_STORAGE: "s3://bucket", VARVE_S3_ACCESS_KEY_ID: "a" };
    expect(problems(() => readConfig({ env, folder: folder() }))).toEqual(["redis", "s3"]);
  });

  it("takes a Cluster or a socket for the online store, and asks for one Redis for the queue then", () => {
    for (const VARVE_REDIS of ["redis-cluster://host:7000", "rediss-cluster://host:7000", "unix:/run/redis.sock"]) {
      expect(problems(() => readConfig({ env: { VARVE_REDIS }, folder: folder() }))).toEqual(["queueRedis"]);
      const env = { VARVE_REDIS, VARVE_QUEUE_REDIS: "redis://host:6379" };
      expect(readConfig({ env, folder: folder() }).redis).toBe(VARVE_REDIS);
    }
    const env = { VARVE_REDIS: "http://host", VARVE_QUEUE_REDIS: "redis-cluster://host:7000" };
    expect(problems(() => readConfig({ env, folder: folder() }))).toEqual(["VARVE_REDIS", "VARVE_QUEUE_REDIS"]);
  });

  it("says when a named file is missing or is not JSON", () => {
    const here = folder();
    expect(() => readConfig({ file: "none.json", env: {}, folder: here })).toThrow(/none\.json does not exist/);
    writeFileSync(join(here, "varve.json"), "{");
    expect(() => readConfig({ env: {}, folder: here })).toThrow(/is not JSON/);
  });

  it("lets the clock stand at an instant", () => {
    const config = readConfig({ env: { VARVE_CLOCK: "2001-07-01" }, folder: folder() });
    expect(config.clock.now()).toBe(993_945_600_000_000n);
  });
});
