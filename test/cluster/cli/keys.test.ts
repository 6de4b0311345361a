import { describe, expect, it, onTestFinished } from "vitest";
import { Project, urlIn } from "./command.ts";

async function open(env: Record<string, string> = {}): Promise<Project> {
  const project = await Project.open(env);
  onTestFinished(() => project.close());
  return project;
}

async function ask(url: string, key?: string): Promise<{ status: number; message?: string }> {
  const response = await fetch(`${url}/api/v1/feature-service/get-features`, {
    method: "POST",
    headers: { "content-type": "application/json", ...(key !== undefined && { authorization: `Tecton-key ${key}` }) },
    body: JSON.stringify({ params: { featureServiceName: "model", joinKeyMap: { driver: "x" } } }),
  });
  const { message } = await response.json() as { message?: string };
  return { status: response.status, ...(message !== undefined && { message }) };
}

describe("varve keys", () => {
  it("creates, lists, rotates and revokes keys that a running server follows", async () => {
    const project = await open();
    delete project.env["VARVE_AUTH"];
    expect((await project.run("apply", "definitions.ts")).code).toBe(0);
    const serve = project.start("serve");
    const url = urlIn(await serve.line(/^varve serves /));
    await serve.line(/^There is no API key yet: `varve keys create NAME`/);
    expect(await ask(url)).toMatchObject({ status: 401, message: expect.stringContaining("varve keys create") });

    const created = await project.run("keys", "create", "checkout");
    expect(created).toMatchObject({ code: 0, out: expect.stringMatching(/^vk_[0-9a-f]{12}_[0-9a-f]{64}\n$/) });
    expect(created.err).toMatch(/^API key "checkout" \(\w{12}\) may read in workspace default\. It is shown this once/);
    const first = created.out.trim();
    await expect.poll(() => ask(url, first)).toEqual({ status: 200 });

    const rotated = await project.run("keys", "rotate", "checkout", "--overlap", "1h", "--expires", "90d", "--json");
    const { key: second, expiresAt } = JSON.parse(rotated.out) as { key: string; expiresAt: string };
    expect(Date.parse(expiresAt)).toBeGreaterThan(Date.now());
    await expect.poll(() => ask(url, second)).toEqual({ status: 200 });
    expect(await ask(url, first)).toEqual({ status: 200 });

    const elsewhere = ["keys", "create", "ci", "--scope", "publish", "admin", "--workspace", "prod", "--rate", "5"];
    const other = (await project.run(...elsewhere)).out.trim();
    await expect.poll(() => ask(url, other)).toMatchObject({ status: 403 });
    const listed = (await project.run("keys", "list")).out;
    expect(listed).toMatch(/^checkout +\w{12} +read +default +\S+ by tester /m);
    expect(listed).toMatch(/^ci +\w{12} +publish, admin, 5\/s +prod .* never/m);

    expect((await project.run("keys", "revoke", "checkout")).out).toMatch(/is revoked: servers refuse it within two/);
    const revoked = { status: 401, message: expect.stringContaining("was revoked at") };
    await expect.poll(() => ask(url, second)).toEqual(revoked);
    expect(await ask(url, first)).toEqual(revoked);
    const all = JSON.parse((await project.run("keys", "list", "--all", "--json")).out) as { name: string }[];
    expect(all.map(({ name }) => name)).toEqual(["checkout", "ci"]);
    expect(JSON.stringify(all)).not.toMatch(/hash|secret/);
    expect(JSON.parse((await project.run("keys", "list", "--json")).out)).toHaveLength(1);

    const { code, err } = await serve.stop();
    expect(code).toBe(0);
    // Neither values nor keys are in the log of a server.
    for (const text of [first, second, other]) expect(err).not.toContain(text.slice(16));
  });

  it("says what is wrong with a command, and changes nothing", async () => {
    const project = await open();
    expect((await project.run("keys", "list")).out).toMatch(/^There is no API key: `varve keys create NAME`/);
    const failures = await Promise.all([
      project.run("keys", "create", "a", "--scope", "fly"),
      project.run("keys", "create", "a b"),
      project.run("keys", "create", "a", "--workspace", "x", "--all-workspaces"),
      project.run("keys", "create", "a", "--expires", "soon"),
      project.run("keys", "create", "a", "--rate", "many"),
      project.run("keys", "rotate", "a"),
      project.run("keys", "rotate", "a", "--overlap", "1000d"),
      project.run("keys", "revoke", `vk_${"0".repeat(12)}_${"1".repeat(64)}`),
      project.run("keys"),
    ]);
    expect(failures.map(({ code }) => code)).toEqual(Array(failures.length).fill(1));
    expect(failures.map(({ err }) => err)).toEqual([
      "Cannot create the key: fly is no scope; scopes are read, ingest, publish, admin\n",
      expect.stringMatching(/^Cannot name a key "a b": /),
      expect.stringMatching(/^Cannot create the key: give --workspace or --all-workspaces, not both/),
      expect.stringMatching(/^Cannot read --expires "soon": it is not a duration; write it as "30s"/),
      expect.stringMatching(/^Cannot create key "a" with NaN requests a second/),
      'Cannot rotate key "a": there is none; keys are none\n',
      expect.stringMatching(/it is 90d at most/),
      'Cannot revoke key "vk_…": there is none; keys are none\n',
      expect.stringMatching(/create.*list.*rotate.*revoke/s),
    ]);
    expect((await project.run("keys", "list", "--all", "--json")).out.trim()).toBe("[]");
  });

  it("are asked for where they should be, and doctor says so", async () => {
    const project = await open();
    delete project.env["VARVE_AUTH"];
    expect((await project.run("doctor")).out).toMatch(
      /^! api keys +none for workspace "default": .*\n +→ run `varve keys create NAME`$/m,
    );
    const up = project.start("up", "--no-auth");
    const url = urlIn(await up.line(/^varve is up at /));
    expect(await up.line(/authentication is off/)).toBe(
      "authentication is off: this computer may ask without a key, nobody else may",
    );
    expect((await ask(url)).status).toBe(404);
    await up.stop();
    const strict = project.start("up");
    expect((await ask(urlIn(await strict.line(/^varve is up at /)))).status).toBe(401);
    await strict.line(/^There is no API key yet/);
    await strict.stop();
    const open0 = await project.run("serve", "--no-auth", "--processes", "1", "-c", "none.json");
    expect(open0.code).toBe(1);
    project.env["VARVE_HOST"] = "0.0.0.0";
    const beyond = await Promise.all([project.run("serve", "--no-auth"), project.run("up", "--no-auth")]);
    for (const { code, err } of beyond) {
      expect([code, err]).toEqual([1, expect.stringMatching(/^Cannot listen on 0\.0\.0\.0 without authentication: /)]);
    }
    project.env["VARVE_AUTH"] = "off";
    expect((await project.run("serve")).err).toMatch(/^Cannot listen on 0\.0\.0\.0 without authentication: /);
  });
});
