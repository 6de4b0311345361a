/** The audit log as people run it: servers log what they answer, `varve audit` checks it. */
import { describe, expect, it, onTestFinished } from "vitest";
import { redisOnlineStore } from "../../../sdk/storage/online_redis.ts";
import { startRedis } from "../../support/redis.ts";
import { startS3 } from "../../support/s3_server.ts";
import { askAmount, Project, urlIn } from "./command.ts";

const logging = { VARVE_AUDIT_SHARE: "1", VARVE_AUDIT_KEYS: "plain" };

async function metric(url: string, name: string): Promise<number | undefined> {
  const text = await (await fetch(`${url}/metrics`)).text();
  const [, value] = new RegExp(`^${name} (\\S+)$`, "m").exec(text) ?? [];
  return value === undefined ? undefined : Number(value);
}

describe("varve audit", () => {
  it("finds what processes answered on Redis and S3 as computed, and exits with 1 when it was not", async () => {
    const [redis, s3] = [await startRedis({ appendonly: true }), await startS3()];
    onTestFinished(() => redis.stop());
    onTestFinished(() => s3.close());
    const project = await Project.open({
      ...logging,
      VARVE_REDIS: redis.url,
      VARVE_STORAGE: `s3://${s3.bucket}/features`,
      VARVE_S3_ENDPOINT: s3.endpoint,
      VARVE_S3_REGION: s3.region,
      VARVE_S3_ACCESS_KEY_ID: s3.accessKeyId,
      VARVE_S3_SECRET_ACCESS_KEY: s3.secretAccessKey,
    });
    project.env["VARVE_CACHE_FOLDER"] = `${project.folder}/cache`;
    onTestFinished(() => project.close());
    const worker = project.start("worker");
    expect((await project.run("apply", "definitions.ts")).code).toBe(0);
    await worker.stop();
    const serve = project.start("serve", "--processes", "2");
    const url = urlIn(await serve.line(/^varve serves /));
    for (const driver of ["x", "y", "z", "nobody"]) {
      expect((await askAmount(url, driver)).status).toBe(200);
      // In Feast's words: the same service, the same log.
      const answer = await fetch(`${url}/get-online-features`, {
        method: "POST",
        headers: { "content-type": "application/json" },
        body: JSON.stringify({ feature_service: "model", entities: { driver: [driver] } }),
      });
      expect(answer.status).toBe(200);
    }
    expect(await metric(url, "varve_audit_rows_waiting")).toBe(8);
    expect(await metric(url, 'varve_audit_rows_total\\{outcome="dropped"\\}')).toBe(0);
    expect((await serve.stop()).code).toBe(0);

    const good = await project.run("audit", "model");
    expect(good).toMatchObject({ code: 0, out: expect.stringMatching(/^0 mismatches and 0 missing among 8 values/) });
    const report = JSON.parse((await project.run("--json", "audit", "model")).out) as object;
    expect(report).toMatchObject({ rows: 8, matches: 8, mismatches: 0, from: "2001-01-05T00:00:00.000001Z" });

    // The values are gone from the online store: the next answer is not what it should be.
    const online = redisOnlineStore({ url: redis.url, workspace: "default" });
    const state = await online.state("driver_amounts", 1);
    expect(await online.drop(state!.collection!)).toBe(3);
    await online.close();
    const again = project.start("serve");
    const answer = await askAmount(urlIn(await again.line(/^varve serves /)), "x");
    expect(answer).toEqual({ status: 200, features: [null] });
    await again.stop();
    const bad = await project.run("audit", "model");
    expect(bad.code).toBe(1);
    expect(bad.out).toMatch(/^0 mismatches and 1 missing among 9 values/);
  });

  it("says where a log comes from when there is none", async () => {
    const project = await Project.open();
    onTestFinished(() => project.close());
    expect((await project.run("apply", "definitions.ts")).code).toBe(0);
    expect(await project.run("audit", "model")).toMatchObject({
      code: 1,
      err: expect.stringMatching(/nothing was logged .*VARVE_AUDIT_SHARE/),
    });
  });
});
