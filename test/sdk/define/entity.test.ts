import { describe, expect, expectTypeOf, it } from "vitest";
import { entity } from "../../../sdk/define/entity.ts";
import { VarveError } from "../../../sdk/errors.ts";
import type { SchemaTypes } from "../../../sdk/schema.ts";

describe("entity", () => {
  it("is frozen plain data with its keys in order", () => {
    const route = entity("route", { origin: "string", number: "int64" }, {
      owner: "ana",
      tags: { b: "2", a: "1" },
      description: "",
    });
    expect(JSON.stringify(route.definition)).toBe(
      '{"kind":"entity","name":"route","joinKeys":[{"name":"origin","type":"string"},{"name":"number","type":"int64"}],"owner":"ana","tags":{"a":"1","b":"2"}}',
    );
    expect(Object.isFrozen(route) && Object.isFrozen(route.definition) && Object.isFrozen(route.joinKeys)).toBe(true);
    expectTypeOf(route.keys).toEqualTypeOf<{ readonly origin: "string"; readonly number: "int64" }>();
  });

  const nine = Object.fromEntries([..."abcdefghi"].map((name) => [name, "string"])) as SchemaTypes;
  it.each<[string, string, SchemaTypes, string]>([
    ["an empty name", "", { id: "string" }, "it is empty"],
    ["a name with a slash", "a/b", { id: "string" }, "names start with an ASCII letter"],
    ["no keys", "user", {}, "there are none"],
    ["nine keys", "user", nine, "at most 8"],
    ["a float key", "user", { score: "float64" }, "float64 cannot be a join key"],
    ["a timestamp key", "user", { at: "timestamp" }, "timestamp cannot be a join key"],
    ["a list key", "user", { ids: { list: "string" } }, "list<string> cannot be a join key"],
    ["a reserved key", "user", { event_timestamp: "string" }, "reserved for the times"],
    ["a reserved key in capitals", "user", { Effective_Timestamp: "string" }, "reserved for the times"],
    ["a key named like a place", "user", { File_Index: "string" }, "reserved for the places"],
    ["an internal key", "user", { __proto: "string" }, "start with __ are reserved"],
    ["keys that differ in case", "user", { id: "string", ID: "string" }, 'differs from "id" in case only'],
  ])("refuses %s", (_, name, keys, message) => {
    expect(() => entity(name, keys)).toThrow(message);
  });

  it("tells every problem at once", () => {
    try {
      entity("a b", { x: "float64", written_timestamp: "string" }, { tags: { n: 1 as unknown as string } });
      expect.unreachable();
    } catch (error) {
      expect((error as VarveError).code).toBe("INVALID_DEFINITION");
      expect((error as VarveError).details["issues"]).toHaveLength(4);
    }
  });
});
