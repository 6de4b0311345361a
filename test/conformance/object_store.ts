import { createHash, randomBytes } from "node:crypto";
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import type { ObjectStore } from "../../sdk/storage/object_store.ts";

/** What a suite needs of an implementation: stores that share their objects, empty at first. */
export interface ObjectStores {
  /** Another store object on the same objects. */
  open(): ObjectStore;
  close(): Promise<void>;
}

const text = (bytes: Uint8Array | undefined) => bytes && new TextDecoder().decode(bytes);

/** What every object store must do. `make` gives an empty one each time. */
export function objectStoreConformance(name: string, make: () => Promise<ObjectStores>): void {
  describe(`${name} as object store`, () => {
    let stores: ObjectStores;
    let store: ObjectStore;
    let folder: string;

    beforeAll(() => {
      folder = mkdtempSync(join(tmpdir(), "varve-objects-"));
    });
    beforeEach(async () => {
      stores = await make();
      store = stores.open();
    });
    afterEach(async () => {
      await store.close();
      await stores.close();
    });
    afterAll(() => rmSync(folder, { recursive: true, force: true }));

    const keysOf = async (prefix: string, after?: string) => {
      const keys: string[] = [];
      for await (const info of store.list(prefix, after === undefined ? {} : { after })) keys.push(info.key);
      return keys;
    };

    it("get() gives what put() wrote, bytes and text", async () => {
      const bytes = new Uint8Array(randomBytes(100_000));
      await store.put("a/bytes", bytes);
      await store.put("a/text", "flüchtig");
      await store.put("a/empty", "");
      expect(Buffer.compare(await store.get("a/bytes"), bytes)).toBe(0);
      expect(text(await store.get("a/text"))).toBe("flüchtig");
      expect((await store.get("a/empty")).byteLength).toBe(0);
    });

    it("put() overwrites, and another store object sees it", async () => {
      await store.put("k", "one");
      await store.put("k", "two");
      expect(text(await stores.open().get("k"))).toBe("two");
    });

    it("find() and head() say undefined, get() says NOT_FOUND with the key", async () => {
      expect(await store.find("no/such")).toBeUndefined();
      expect(await store.head("no/such")).toBeUndefined();
      await expect(store.get("no/such")).rejects.toMatchObject({
        code: "NOT_FOUND",
        message: expect.stringContaining('"no/such"'),
      });
      await expect(store.localPath("no/such")).rejects.toMatchObject({ code: "NOT_FOUND" });
      await expect(store.localPath("no/such", { size: 1, sha256: "00" })).rejects.toMatchObject({ code: "NOT_FOUND" });
    });

    it("a folder of objects is not an object", async () => {
      await store.put("folder/object", "x");
      expect(await store.find("folder")).toBeUndefined();
      expect(await store.head("folder")).toBeUndefined();
    });

    it("head() gives size and time", async () => {
      await store.put("k", "12345");
      const info = await store.head("k");
      expect(info).toMatchObject({ key: "k", size: 5 });
      expect(Math.abs(info!.modified.getTime() - Date.now())).toBeLessThan(60_000);
    });

    it.each([
      "",
      "/a",
      "a/",
      "a//b",
      "../a",
      "a/../b",
      "a/.",
      "a b",
      "a\\b",
      "a\0b",
      "ü",
      "~a",
      "a/%2e%2e/b",
      "x".repeat(1000),
    ])("refuses the key %j", async (key) => {
      for (const method of ["get", "find", "head", "localPath"] as const) {
        await expect(store[method](key)).rejects.toMatchObject({ code: "INVALID_REQUEST" });
      }
      await expect(store.put(key, "x")).rejects.toMatchObject({ code: "INVALID_REQUEST" });
      await expect(store.putIfAbsent(key, "x")).rejects.toMatchObject({ code: "INVALID_REQUEST" });
      await expect(store.delete(["fine", key])).rejects.toMatchObject({ code: "INVALID_REQUEST" });
    });

    it("putIfAbsent() creates once and keeps the first", async () => {
      expect(await store.putIfAbsent("log/1", "mine")).toBe("created");
      expect(await store.putIfAbsent("log/1", "yours")).toBe("exists");
      expect(text(await store.get("log/1"))).toBe("mine");
    });

    it("putIfAbsent() has one winner of 50 that race, and its body is the one that stays", async () => {
      const racing = Array.from(
        { length: 50 },
        (_, i) => (i % 2 ? store : stores.open()).putIfAbsent("log/2", `body ${i}`),
      );
      const outcomes = await Promise.all(racing);
      expect(outcomes.filter((outcome) => outcome === "created")).toHaveLength(1);
      expect(text(await store.get("log/2"))).toBe(`body ${outcomes.indexOf("created")}`);
    });

    it("list() gives keys in order, by prefix, after a key", async () => {
      const keys = ["a-b/1", "a/b-c", "a/b/1", "a/b/2", "a/ba", "a/c", "a0", "b"].sort();
      await Promise.all(keys.map((key, i) => store.put(key, "x".repeat(i))));
      expect(await keysOf("")).toEqual(keys);
      expect(await keysOf("a/")).toEqual(keys.filter((key) => key.startsWith("a/")));
      expect(await keysOf("a/b")).toEqual(["a/b-c", "a/b/1", "a/b/2", "a/ba"].sort());
      expect(await keysOf("a/b/")).toEqual(["a/b/1", "a/b/2"]);
      for (const after of [...keys, "a/b/", "a/bz", "zz"]) {
        expect(await keysOf("", after)).toEqual(keys.filter((key) => key > after));
      }
      expect(await keysOf("nothing/")).toEqual([]);
      const infos = [];
      for await (const info of store.list("b")) infos.push(info);
      expect(infos).toMatchObject([{ key: "b", size: keys.indexOf("b") }]);
    });

    it("list() gives more keys than one page holds", async () => {
      const keys = Array.from({ length: 25 }, (_, i) => `many/${String(i).padStart(3, "0")}`);
      await Promise.all(keys.map((key) => store.put(key, "x")));
      expect(await keysOf("many/")).toEqual(keys);
    });

    it("delete() removes, and does not mind keys that are not there", async () => {
      await Promise.all(["d/1", "d/2", "d/3"].map((key) => store.put(key, "x")));
      await store.delete(["d/1", "d/none", "d/3"]);
      await store.delete([]);
      expect(await keysOf("d/")).toEqual(["d/2"]);
      await store.delete(["d/2"]);
      await store.put("d/4", "x");
      expect(await keysOf("d/")).toEqual(["d/4"]);
    });

    it("putFile() copies a file, and takes it away when it may move", async () => {
      const path = join(folder, "part");
      writeFileSync(path, "content");
      expect(await store.putFile("f/kept", path)).toMatchObject({ key: "f/kept", size: 7 });
      expect(existsSync(path)).toBe(true);
      await store.putFile("f/moved", path, { move: true });
      expect(existsSync(path)).toBe(false);
      expect(text(await store.get("f/kept"))).toBe("content");
      expect(text(await store.get("f/moved"))).toBe("content");
      await expect(store.putFile("f/none", join(folder, "none"))).rejects.toMatchObject({ code: "UNAVAILABLE" });
      expect(await store.head("f/none")).toBeUndefined();
    });

    it("localPath() gives a file with the object's content, also for many who ask at once", async () => {
      const body = randomBytes(300_000);
      const sha256 = createHash("sha256").update(body).digest("hex");
      await store.put("p/1", body);
      const asked = Array.from({ length: 20 }, () => store.localPath("p/1", { size: body.byteLength, sha256 }));
      for (const path of new Set(await Promise.all(asked))) expect(readFileSync(path).equals(body)).toBe(true);
      expect(readFileSync(await store.localPath("p/1")).equals(body)).toBe(true);
    });

    it("localPath() sees another content under the same key", async () => {
      await store.put("p/2", "first");
      expect(readFileSync(await store.localPath("p/2"), "utf8")).toBe("first");
      await store.put("p/2", "second!");
      expect(readFileSync(await store.localPath("p/2"), "utf8")).toBe("second!");
    });

    it("localPath() of another content than was recorded is CORRUPT, also once it was right", async () => {
      const sha256 = (text: string) => createHash("sha256").update(text).digest("hex");
      await store.put("p/4", "right");
      await store.localPath("p/4", { size: 5, sha256: sha256("right") });
      await store.put("p/5", "wrong");
      await expect(store.localPath("p/5", { size: 5, sha256: sha256("right") })).rejects.toMatchObject({
        code: "CORRUPT",
        message: expect.stringMatching(/p\/5".*another sha256/),
      });
      writeFileSync(await store.localPath("p/4", { size: 5, sha256: sha256("right") }), "wrong");
      // A copy is fetched again; what has no original is lost.
      await store.localPath("p/4", { size: 5, sha256: sha256("right") }).then(
        (path) => expect(readFileSync(path, "utf8")).toBe("right"),
        (error: unknown) => expect(error).toMatchObject({ code: "CORRUPT" }),
      );
    });

    it("localPath() of another size than was recorded is CORRUPT", async () => {
      await store.put("p/3", "short");
      await expect(store.localPath("p/3", { size: 1000, sha256: "00" })).rejects.toMatchObject({
        code: "CORRUPT",
        message: expect.stringContaining("p/3"),
      });
    });

    it("a cancelled call fails with CANCELLED and writes nothing", async () => {
      const signal = AbortSignal.abort();
      await expect(store.put("c", "x", signal)).rejects.toMatchObject({ code: "CANCELLED" });
      await expect(store.putIfAbsent("c", "x", signal)).rejects.toMatchObject({ code: "CANCELLED" });
      await expect(store.get("c", signal)).rejects.toMatchObject({ code: "CANCELLED" });
      await expect(store.localPath("c", undefined, signal)).rejects.toMatchObject({ code: "CANCELLED" });
      expect(await store.find("c")).toBeUndefined();
    });

    it("probe() accepts it and leaves nothing behind", async () => {
      await store.probe();
      expect(await keysOf("")).toEqual([]);
    });
  });
}
