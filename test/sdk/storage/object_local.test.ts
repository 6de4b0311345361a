import { execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, utimesSync, writeFileSync } from "node:fs";
import { hostname, tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, it } from "vitest";
import { localObjectStore } from "../../../sdk/storage/object_local.ts";
import { objectStoreConformance } from "../../conformance/object_store.ts";

const folders: string[] = [];
const newFolder = () => {
  const folder = mkdtempSync(join(tmpdir(), "varve-local-"));
  folders.push(folder);
  return folder;
};
afterAll(() => folders.forEach((folder) => rmSync(folder, { recursive: true, force: true })));

objectStoreConformance("localObjectStore", async () => {
  const folder = newFolder();
  return { open: () => localObjectStore(folder), close: async () => {} };
});

describe("localObjectStore()", () => {
  it("makes no folder before the first write, and reads as empty until then", async () => {
    const folder = join(newFolder(), "not", "yet");
    const store = localObjectStore(folder);
    expect(await store.find("k")).toBeUndefined();
    for await (const _ of store.list("")) throw new Error("something is there");
    await store.put("k", "x");
    expect(readFileSync(join(folder, "k"), "utf8")).toBe("x");
  });

  it("gives the file itself as local path", async () => {
    const folder = newFolder();
    const store = localObjectStore(folder);
    await store.put("a/b.parquet", "x");
    expect(await store.localPath("a/b.parquet")).toBe(join(folder, "a", "b.parquet"));
  });

  it("cleans up what dead processes left unfinished, and nothing of the living", async () => {
    const folder = newFolder();
    const unfinished = join(folder, "~unfinished");
    mkdirSync(unfinished);
    const child = spawn(process.execPath, ["-e", "setInterval(() => {}, 1000)"]);
    const dead = execFileSync(process.execPath, ["-p", "process.pid"], { encoding: "utf8" }).trim();
    const names = {
      dead: `${hostname()}~${dead}~1`,
      living: `${hostname()}~${child.pid}~2`,
      elsewhere: "another-host~1~3",
      elsewhereOld: "another-host~1~4",
    };
    try {
      for (const name of Object.values(names)) writeFileSync(join(unfinished, name), "half");
      const twoDaysAgo = new Date(Date.now() - 2 * 24 * 3_600_000);
      utimesSync(join(unfinished, names.elsewhereOld), twoDaysAgo, twoDaysAgo);
      const store = localObjectStore(folder);
      await store.put("k", "x");
      await store.close();
      expect(readdirSync(unfinished).sort()).toEqual([names.living, names.elsewhere].sort());
    } finally {
      child.kill("SIGKILL");
      await once(child, "exit");
    }
  });

  it("a full disk is EXHAUSTED with the way out, and leaves nothing half-written", async () => {
    // A file size limit of the process stands in for a disk without room: the system gives EFBIG instead of ENOSPC.
    const folder = newFolder();
    const module = JSON.stringify(new URL("../../../sdk/storage/object_local.ts", import.meta.url).href);
    const program = join(folder, "full.mts");
    writeFileSync(
      program,
      `import { localObjectStore } from ${module};
       process.on("SIGXFSZ", () => {});
       const store = localObjectStore(${JSON.stringify(join(folder, "store"))});
       await store.put("small", "x");
       for (const call of ["put", "putIfAbsent"]) {
         await store[call]("large", new Uint8Array(8 << 20)).then(console.log, (error) => console.log(error.code + " " + error.message));
       }
       await store.close();`,
    );
    const command = `ulimit -f 2048; exec "${process.execPath}" --import tsx "${program}"`;
    const cwd = new URL("../../..", import.meta.url).pathname;
    const printed = execFileSync("bash", ["-c", command], {
      encoding: "utf8",
      cwd,
      env: { ...process.env, TMPDIR: folder },
    });
    expect(printed.trim().split("\n")).toEqual(
      Array(2).fill('EXHAUSTED Cannot put object "large": the disk is full (EFBIG); free some space and try again'),
    );
    expect(readdirSync(join(folder, "store")).sort()).toEqual(["small", "~unfinished"]);
    expect(readdirSync(join(folder, "store", "~unfinished"))).toEqual([]);
  });

  it("putIfAbsent() from several processes that are killed makes every version once and whole", async () => {
    const folder = newFolder();
    const module = JSON.stringify(new URL("../../../sdk/storage/object_local.ts", import.meta.url).href);
    const program = join(folder, "writer.mts");
    writeFileSync(
      program,
      `import { localObjectStore } from ${module};
       const store = localObjectStore(${JSON.stringify(join(folder, "store"))});
       const body = process.argv[2].repeat(20_000);
       for (let version = 0; version < 60; version++) {
         if (await store.putIfAbsent("log/" + version, body) === "created") console.log(version);
       }`,
    );
    const cwd = new URL("../../..", import.meta.url).pathname;
    const writers = ["a", "b", "c", "d"].map((letter, i) => {
      const child = spawn(process.execPath, ["--import", "tsx", program, letter], {
        cwd,
        stdio: ["ignore", "pipe", "inherit"],
      });
      let printed = "";
      child.stdout.on("data", (chunk) => {
        printed += chunk;
        // Two of them die in the middle of what they do.
        if (i < 2 && printed.split("\n").length > 3) child.kill("SIGKILL");
      });
      return once(child, "close").then(() => printed.split("\n").slice(0, -1));
    });
    const won = (await Promise.all(writers)).flat();
    expect(new Set(won).size).toBe(won.length);
    const store = localObjectStore(join(folder, "store"));
    for (let version = 0; version < 60; version++) {
      const body = new TextDecoder().decode(await store.get(`log/${version}`));
      expect(body).toBe(body[0]!.repeat(20_000));
    }
  });
});
