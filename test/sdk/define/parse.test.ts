import { describe, expect, it } from "vitest";
import { parseDefinition } from "../../../sdk/define/parse.ts";
import { service } from "../../../sdk/define/service.ts";
import { VarveError } from "../../../sdk/errors.ts";
import { airport, delays, route } from "../../support/flight_views.ts";

const rich = delays({
  features: ["delay", "distance"],
  defaults: { delay: 0 },
  tags: { a: "1" },
  end: "2001-06-01",
  preventDestroy: true,
  online: true,
});
const model = service("model", [rich.select("delay").mapKeys({ origin: "airport" }).prefix("x_")]);

function copy(value: unknown): Record<string, unknown> {
  return JSON.parse(JSON.stringify(value));
}

describe("parseDefinition()", () => {
  it.each([route.definition, rich.definition, model.definition])(
    "gives back $kind $name as it was written",
    (definition) => {
      const parsed = parseDefinition(copy(definition));
      expect(JSON.stringify(parsed)).toBe(JSON.stringify(definition));
      expect(Object.isFrozen(parsed)).toBe(true);
    },
  );

  it("writes times canonically, fills defaults and orders features", () => {
    const json = copy(rich.definition);
    Object.assign(json, { schedule: "24h", ttl: "1w", features: [...json["features"] as unknown[]].reverse() });
    for (const name of ["dataDelay", "lookback", "offline"]) delete json[name];
    expect(JSON.stringify(parseDefinition(json))).toBe(
      JSON.stringify(delays({ ...optionsOfRich, ttl: "7d" }).definition),
    );
  });

  it.each<[string, unknown, string]>([
    ["text", "view", 'it is "view", not an object'],
    ["a list", [], "it is [], not an object"],
    ["no kind", {}, "kind: it is missing; it must be text"],
    ["another kind", { kind: "stream" }, '"stream" is not entity, view, realtimeView or service'],
    ["an entity without keys", { kind: "entity", name: "a" }, "joinKeys: it is missing; it must be a list"],
    [
      "a key of no type",
      { kind: "entity", name: "a", joinKeys: [{ name: "b", type: "text" }] },
      'Cannot use "text" as type',
    ],
    ["a misspelt property", { ...copy(airport.definition), ownr: "ana" }, "ownr: there is no such property"],
    [
      "a misspelt property within",
      { ...copy(airport.definition), joinKeys: [{ name: "a", type: "string", x: 1 }] },
      "joinKeys[0].x",
    ],
    [
      "another mode",
      { ...copy(rich.definition), mode: "stream" },
      'mode: it is "stream", not one of attributes, aggregates',
    ],
    ["a query that is none", { ...copy(rich.definition), query: { kind: "scan" } }, "query: "],
    ["an unknown query step", { ...copy(rich.definition), query: { kind: "explode" } }, "query: "],
    ["a flag that is text", { ...copy(rich.definition), online: "yes" }, 'online: it is "yes", not true or false'],
    [
      "a schedule off its boundaries",
      { ...copy(rich.definition), start: "2001-01-01T05:00:00Z" },
      "is not a boundary of the schedule",
    ],
    [
      "another event timestamp",
      { ...copy(rich.definition), eventTimestamp: "loaded" },
      "does not hold the source's event timestamp, which is in date",
    ],
    [
      "a feature of another type",
      { ...copy(rich.definition), features: [{ name: "delay", type: "string" }] },
      "it is string, the query gives int32",
    ],
    [
      "a default of null",
      { ...copy(rich.definition), features: [{ name: "delay", type: "int32", default: null }] },
      "null is what a default replaces",
    ],
    ["a default of another type", {
      ...copy(rich.definition),
      features: [{ name: "delay", type: "int32", default: "0" }],
    }, "features.delay.default"],
    ["keys that the query lacks", {
      ...copy(rich.definition),
      entity: { kind: "entity", name: "x", joinKeys: [{ name: "x", type: "string" }] },
    }, 'the query has no column "x"'],
    ["a service without views", { ...copy(model.definition), views: [] }, "there are none; give at least one view"],
    ["a key map of numbers", {
      ...copy(model.definition),
      views: [{ ...copy(model.definition.views[0]), joinKeyMap: { origin: 1 } }],
    }, "not a record of texts"],
    [
      "prototype keys",
      JSON.parse('{"kind":"entity","name":"a","joinKeys":[{"name":"b","type":"string"}],"__proto__":{"owner":"x"}}'),
      "__proto__: there is no such property",
    ],
  ])("refuses %s", (_, json, message) => {
    expect(() => parseDefinition(json)).toThrow(VarveError);
    expect(() => parseDefinition(json)).toThrow(message);
  });
});

const optionsOfRich = {
  features: ["delay", "distance"],
  defaults: { delay: 0 },
  tags: { a: "1" },
  end: "2001-06-01",
  preventDestroy: true,
  online: true,
};
