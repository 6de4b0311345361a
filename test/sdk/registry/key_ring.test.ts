import { describe, expect, it } from "vitest";
import type { VarveError } from "../../../sdk/errors.ts";
import { type ApiKey, KeyChecker, keyScopes } from "../../../sdk/registry/api_key.ts";
import { logKey } from "../../../sdk/registry/change_entry.ts";
import { keysOwner, type KeysState } from "../../../sdk/registry/key_changes.ts";
import { KeyRing } from "../../../sdk/registry/key_ring.ts";
import { listWorkspaces } from "../../../sdk/registry/workspaces.ts";
import { ManualClock } from "../../../sdk/time.ts";
import { MemoryStore } from "../../support/memory_store.ts";

const start = "2026-03-01T12:00:00Z";

function open(store = new MemoryStore(), author = "ana") {
  const clock = new ManualClock(start);
  const ring = new KeyRing({ store, author, clock });
  const check = (text: string) => new KeyChecker(ring.cached.keys.values()).check(text, () => clock.now());
  return { store, clock, ring, check };
}

const everywhere = { workspaces: "all" } as const;
const code = (promise: Promise<unknown>) => promise.then(() => "none", (error: VarveError) => error.code);

describe("KeyRing", () => {
  it("creates keys that are told apart by their text, and stores no text", async () => {
    const { store, ring, check } = open();
    const { key, text } = await ring.create({ name: "checkout", scopes: ["read"], workspaces: ["prod"] });
    const other = await ring.create({ name: "trainer", scopes: ["read", "publish", "read"], workspaces: "all" });
    expect(text).toMatch(/^vk_[0-9a-f]{12}_[0-9a-f]{64}$/);
    expect(key).toMatchObject({
      id: text.slice(3, 15),
      name: "checkout",
      scopes: ["read"],
      workspaces: ["prod"],
      author: "ana",
      createdAt: start,
    });
    expect(other.key).toMatchObject({ scopes: ["read", "publish"], workspaces: "all" });
    expect(check(text).key?.name).toBe("checkout");
    expect(check(other.text).key?.name).toBe("trainer");
    const stored = [...store.objects.values()].map((bytes) => new TextDecoder().decode(bytes)).join("");
    for (const secret of [text.slice(16), other.text.slice(16)]) expect(stored).not.toContain(secret);
  });

  it("keeps them beside the registries, where no workspace is", async () => {
    const { store, ring } = open();
    await ring.create({ name: "a", ...everywhere });
    expect([...store.objects.keys()]).toEqual([logKey(keysOwner, 1)]);
    expect(await listWorkspaces(store)).toEqual([]);
  });

  it("refuses what is not the text of a key", async () => {
    const { ring, check } = open();
    const { text } = await ring.create({ name: "a", ...everywhere });
    const last = text.at(-1) === "0" ? "1" : "0";
    const wrong = ["", "vk_", text.slice(0, -1), `${text.slice(0, -1)}${last}`, `${text}0`, `x${text}`];
    wrong.push(` ${text}`, text.toUpperCase(), text.replace(text.slice(3, 15), "000000000000"), `vk_${"_".repeat(90)}`);
    for (const each of wrong) expect([each, check(each).refusal]).toEqual([each, "unknown"]);
  });

  it("ends keys at their time, and revoked ones at once", async () => {
    const { clock, ring, check } = open();
    const { key, text } = await ring.create({ name: "a", ...everywhere, expiresIn: "30d" });
    expect(key.expiresAt).toBe("2026-03-31T12:00:00Z");
    clock.set("2026-03-31T11:59:59.999999Z");
    expect(check(text).refusal).toBeUndefined();
    clock.set("2026-03-31T12:00:00Z");
    expect(check(text)).toMatchObject({ refusal: "expired", key: { name: "a" } });
    const other = await ring.create({ name: "b", ...everywhere });
    expect(await ring.revoke("b")).toMatchObject({ id: other.key.id, revokedAt: "2026-03-31T12:00:00Z" });
    expect(check(other.text)).toMatchObject({ refusal: "revoked", key: { name: "b" } });
    // Whoever only knows the id learns nothing.
    expect(check(`vk_${other.key.id}_${"0".repeat(64)}`)).toEqual({ refusal: "unknown" });
  });

  it("rotates with an overlap: both texts, then the new one alone", async () => {
    const { clock, ring, check } = open();
    const first = await ring.create({ name: "a", ...everywhere });
    clock.advance("10d");
    const second = await ring.rotate("a");
    expect(second.key).toMatchObject({ id: first.key.id, createdAt: start, rotatedAt: "2026-03-11T12:00:00Z" });
    clock.advance("23h");
    expect([check(first.text).refusal, check(second.text).refusal]).toEqual([undefined, undefined]);
    clock.advance("1h");
    expect([check(first.text).refusal, check(second.text).refusal]).toEqual(["rotated", undefined]);
    const third = await ring.rotate(first.key.id, { overlap: "0s" });
    expect([check(second.text).refusal, check(third.text).refusal]).toEqual(["rotated", undefined]);
  });

  it("keeps every overlap that was promised, and refuses to rotate without end", async () => {
    const { clock, ring, check } = open();
    const texts = [(await ring.create({ name: "a", ...everywhere })).text];
    texts.push((await ring.rotate("a", { overlap: "30d" })).text);
    for (let i = 0; i < 6; i++) texts.push((await ring.rotate("a", { overlap: "1h" })).text);
    for (const text of texts) expect(check(text).refusal).toBeUndefined();
    await expect(ring.rotate("a")).rejects.toThrow(/8 texts of it are valid now/);
    clock.advance("2h");
    texts.push((await ring.rotate("a")).text);
    // The first was promised thirty days, others an hour; of those that are over none is remembered.
    expect(texts.map((text) => check(text).refusal)).toEqual([
      undefined,
      ...Array(6).fill("unknown"),
      undefined,
      undefined,
    ]);
  });

  it("moves an end when it is told to, also one that has passed", async () => {
    const { clock, ring, check } = open();
    await ring.create({ name: "a", ...everywhere, expiresIn: "1d" });
    clock.advance("2d");
    await expect(ring.rotate("a")).rejects.toThrow(
      /it expired at 2026-03-02T12:00:00Z; rotate it with a new --expires/,
    );
    const { key, text } = await ring.rotate("a", { expiresIn: "1d" });
    expect(key.expiresAt).toBe("2026-03-04T12:00:00Z");
    expect(check(text).refusal).toBeUndefined();
  });

  it("refuses two of one name, and frees the name with the key", async () => {
    const { ring } = open();
    const { key } = await ring.create({ name: "a", ...everywhere });
    await expect(ring.create({ name: "a", ...everywhere })).rejects.toThrow(
      `Cannot create key "a": ana created one of this name at ${start} (${key.id}); rotate or revoke it`,
    );
    await ring.revoke(key.id);
    const again = await ring.create({ name: "a", ...everywhere });
    // By name the living one is meant.
    expect((await ring.rotate("a")).key.id).toBe(again.key.id);
    await expect(ring.revoke(key.id)).rejects.toThrow(/it was revoked at/);
  });

  it("tells which keys there are, and never repeats a text given for a name", async () => {
    const { ring } = open();
    const { text } = await ring.create({ name: "a", ...everywhere });
    await expect(ring.revoke("b")).rejects.toThrow('Cannot revoke key "b": there is none; keys are a');
    const error = await ring.revoke(text).catch((each: VarveError) => each) as VarveError;
    expect([error.code, error.message.includes(text.slice(16))]).toEqual(["NOT_FOUND", false]);
  });

  it.each([
    ["no name", { name: "" }],
    ["a name with a space", { name: "a b" }],
    ["a name that looks like an id", { name: "abcdefabcdef" }],
    ["too long a name", { name: "a".repeat(65) }],
    ["no scope", { scopes: [] }],
    ["a scope that there is not", { scopes: ["write" as "read"] }],
    ["no workspace", { workspaces: [] }],
    ["a strange workspace", { workspaces: ["a/b"] }],
    ["a rate of nothing", { ratePerSecond: 0 }],
    ["a rate that is no number", { ratePerSecond: NaN }],
    ["a life too long to write down", { expiresIn: "3652500d" }],
  ])("refuses %s and writes nothing", async (_, wrong) => {
    const { store, ring } = open();
    expect(await code(ring.create({ name: "a", ...everywhere, ...wrong }))).toBe("INVALID_REQUEST");
    expect(store.objects.size).toBe(0);
  });

  it("lets two people create, rotate and revoke at once: each change is there once", async () => {
    const store = new MemoryStore();
    const people = ["ana", "ben", "eve"].map((author) => open(store, author).ring);
    const created = await Promise.all(
      people.flatMap((ring, i) => keyScopes.map((scope) => ring.create({ name: `${scope}${i}`, ...everywhere }))),
    );
    const same = await Promise.allSettled(people.map((ring) => ring.create({ name: "same", ...everywhere })));
    expect(same.map(({ status }) => status).sort()).toEqual(["fulfilled", "rejected", "rejected"]);
    const ends = await Promise.allSettled(people.map((ring) => ring.revoke("same")));
    expect(ends.filter(({ status }) => status === "fulfilled")).toHaveLength(1);
    const { ring, check } = open(store);
    await ring.state();
    for (const { text, key } of created) expect(check(text).key?.id).toBe(key.id);
    expect(ring.cached.keys.size).toBe(created.length + 1);
  });

  it("knows its own change when the answer of the store was lost", async () => {
    const { store, ring, check } = open();
    store.faults.losePutAnswers = 1;
    const { text } = await ring.create({ name: "a", ...everywhere });
    expect(check(text).key?.name).toBe("a");
    store.faults.repeatPuts = 1;
    await ring.rotate("a");
    expect(store.objects.size).toBe(2);
  });

  it("refuses entries that are torn or of a newer varve, and keeps what it knows", async () => {
    const { store, ring, check } = open();
    const { text } = await ring.create({ name: "a", ...everywhere });
    const good = JSON.parse(new TextDecoder().decode(store.objects.get(logKey(keysOwner, 1)))) as {
      actions: Record<string, unknown>[];
    };
    const entry = (action: object) => JSON.stringify({ ...good, revision: 2, id: "x", actions: [action] });
    const entries: [string, string, string][] = [
      ["CORRUPT", "{", "it is not JSON"],
      ["CORRUPT", entry({ ...good.actions[0], hash: "x" }), "hash"],
      ["CORRUPT", entry({ ...good.actions[0], id: "../x" }), "id"],
      ["CORRUPT", entry({ ...good.actions[0], expiresAt: "soon" }), "expiresAt"],
      ["CORRUPT", entry({ kind: "rotateKey", id: "0".repeat(12), hash: "0".repeat(64) }), "oldValidUntil"],
      ["UNSUPPORTED", entry({ ...good.actions[0], scopes: ["fly"] }), "fly"],
      ["UNSUPPORTED", entry({ kind: "lockKey" }), "lockKey"],
    ];
    for (const [expected, body, word] of entries) {
      await store.put(logKey(keysOwner, 2), body);
      await expect(ring.state()).rejects.toMatchObject({ code: expected, message: expect.stringContaining(word) });
      expect(check(text).key?.name).toBe("a");
    }
  });

  it("tells watchers of changes of others", async () => {
    const store = new MemoryStore();
    const { ring } = open(store);
    const seen = new Promise<KeysState>((resolve) => {
      const stop = ring.watch((state) => (stop(), resolve(state)), { pollMs: 1 });
    });
    await open(store, "ben").ring.create({ name: "b", ...everywhere });
    expect([...(await seen).keys.values()].map(({ name, author }: ApiKey) => [name, author])).toEqual([["b", "ben"]]);
  });
});
