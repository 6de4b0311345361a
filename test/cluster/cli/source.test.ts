/** `varve source`: what the registry holds becomes a file, and the file plans no change. */
import { spawnSync } from "node:child_process";
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { expect, it, onTestFinished } from "vitest";
import { Project } from "./command.ts";

async function open(): Promise<Project> {
  const project = await Project.open();
  onTestFinished(() => project.close());
  return project;
}

/** Writes what was published to another file, and plans that. */
async function again(project: Project, ...names: string[]): Promise<string> {
  const { code, out, err } = await project.run("source", ...names);
  expect([code, err]).toEqual([0, ""]);
  await writeFile(join(project.folder, "again.ts"), out);
  expect(await project.run("plan", "again.ts")).toMatchObject({ code: 0, out: "No changes\n", err: "" });
  return out;
}

it("writes services and views that plan no change", async () => {
  const project = await open();
  expect((await project.run("apply", "definitions.ts")).code).toBe(0);
  const text = await again(project, "model", "driver_amounts");
  // Paths of files in the folder are as they were written.
  expect(text).toContain('csv("trips.csv", {');
  const unknown = await project.run("source", "nothing");
  expect([unknown.code, unknown.err]).toEqual([
    1,
    expect.stringMatching(/^Cannot write "nothing" as a module: services are /),
  ]);
});

it("reads rows that a program published from where they are stored", async () => {
  const project = await open();
  const program = `import { connect, entity, fromRows, ManualClock, mean, view } from "varve";
const store = await connect({ clock: new ManualClock("2001-01-06") });
const rows = fromRows([{ driver: "ada", at: new Date("2001-01-02"), amount: 5 }], { eventTimestamp: "at" });
const windows = rows.by(entity("driver", { driver: "string" })).aggregate([mean("amount")], { windows: ["2d"] });
await (await store.publish(view("amounts", windows, { schedule: "1d", start: "2001-01-01" }))).apply();
await store.close();
`;
  await writeFile(join(project.folder, "rows.mjs"), program);
  const published = spawnSync(process.execPath, ["rows.mjs"], {
    cwd: project.folder,
    env: project.env,
    encoding: "utf8",
  });
  expect([published.status, published.stderr]).toEqual([0, expect.not.stringContaining("Error")]);
  expect(await again(project, "amounts")).toMatch(/^const rows = storedRows\("[0-9a-f]{16,}", \{$/m);
  // It is computed again from there too.
  const done = await project.run("materialize", "amounts", "--overwrite");
  expect([done.code, done.out]).toEqual([0, expect.stringMatching(/1 rows?/)]);
});

it("shows functions so that people can read them; their text as a module plans no change", async () => {
  const project = await open();
  const options = `{
  request: { amount: "float64", note: "string" },
  output: { score: "float64", words: { list: "string" } },
  // Comments and types are no part of what it means.
  compute: ({ amount, note, requestTimestamp }) => {
    const isNight: boolean = requestTimestamp.toDate().getUTCHours() < 6;
    const words = (text: string | null): string[] => (text ?? "").split(/\\W+/).filter((word) => word !== "");
    return { score: amount === null ? null : amount * (isNight ? 2 : 1), words: words(note) };
  },
}`;
  const program = (...lines: string[]) =>
    ['import { realtimeView } from "varve";', `export const risk = realtimeView("risk", ${options});`, ...lines].join(
      "\n",
    );
  await writeFile(join(project.folder, "functions.ts"), program());
  const applied = await project.run("apply", "functions.ts");
  expect([applied.code, applied.err]).toEqual([0, ""]);
  expect(applied.out).toMatch(/^ +const isNight = requestTimestamp\.toDate\(\)\.getUTCHours\(\) < 6;$/m);
  const again = join(project.folder, "again.ts");
  await writeFile(
    join(project.folder, "write.ts"),
    program(
      'import { writeFileSync } from "node:fs";',
      `writeFileSync(${JSON.stringify(again)}, String(risk.source()));`,
    ),
  );
  for (const file of ["functions.ts", "write.ts", "again.ts"]) {
    expect(await project.run("plan", file)).toMatchObject({ code: 0, out: "No changes\n", err: "" });
  }
  expect(await readFile(again, "utf8")).toMatch(
    /^ {4}const isNight = requestTimestamp\.toDate\(\)\.getUTCHours\(\) < 6;$/m,
  );
  await writeFile(
    join(project.folder, "wrong.ts"),
    `import { realtimeView } from "varve";
const factor = 2;
export const risk = realtimeView("risk", { output: { x: "float64" }, compute: () => ({ x: factor }) });
`,
  );
  const wrong = await project.run("plan", "wrong.ts");
  expect([wrong.code, wrong.err]).toEqual([
    1,
    expect.stringContaining('it captures "factor"; move it into the function'),
  ]);
});
