import { describe, expect, it } from "vitest";
import type { ServiceDefinition, ViewDefinition } from "../../../sdk/define/definitions.ts";
import { currentVersion, emptyState, fold, nextVersion, servedService } from "../../../sdk/registry/fold.ts";
import { dataHash } from "../../../sdk/registry/data_hash.ts";
import type { Action, RegistryState } from "../../../sdk/registry/state.ts";
import { airport, delays } from "../../support/flight_views.ts";

const add = (version: number, schedule = "1d"): Action => {
  const { definition } = delays({ schedule });
  return {
    kind: "addVersion",
    version: { version, definition, dataHash: dataHash(definition), createdAt: "2001-01-01T00:00:00Z" },
  };
};
const serve = (version: number): Action => ({ kind: "serve", view: "delays", version });
const drop = (version: number): Action => ({ kind: "deleteVersion", view: "delays", version });

function folded(...changes: Action[][]): RegistryState {
  return changes.reduce(
    (state, actions, i) =>
      fold(state, { format: 1, revision: i + 1, id: `${i}`, author: "ana", at: "", reason: "", actions }),
    emptyState,
  );
}

describe("fold()", () => {
  it("puts and deletes entities and services", () => {
    const service = { kind: "service", name: "s", views: [] } as const;
    const state = folded([{ kind: "putEntity", entity: airport.definition }, { kind: "putService", service }]);
    expect([state.revision, state.entities["airport"], state.services["s"]]).toEqual([1, airport.definition, service]);
    const after = fold(state, {
      format: 1,
      revision: 2,
      id: "",
      author: "",
      at: "",
      reason: "",
      actions: [{ kind: "deleteEntity", name: "airport" }, { kind: "deleteService", name: "s" }],
    });
    expect([Object.keys(after.entities), Object.keys(after.services)]).toEqual([[], []]);
    expect(state.entities["airport"]).toBeDefined();
  });

  it("builds a first version, which then serves", () => {
    const building = folded([add(1)]).views["delays"]!;
    expect([building.serving, building.building, building.served]).toEqual([undefined, 1, []]);
    const serving = folded([add(1)], [serve(1)]).views["delays"]!;
    expect([serving.serving, serving.building, serving.served]).toEqual([1, undefined, [1]]);
  });

  it("keeps what serves while another version is built", () => {
    const view = folded([add(1)], [serve(1)], [add(2, "1h")]).views["delays"]!;
    expect([view.serving, view.building, currentVersion(view)!.version]).toEqual([1, 2, 2]);
  });

  it("keeps a newer version building when an older one is made to serve", () => {
    const view = folded([add(1)], [serve(1)], [add(2, "1h")], [serve(2)], [add(3, "2h")], [serve(1)]).views["delays"]!;
    expect([view.serving, view.building, view.served]).toEqual([1, 3, [2, 1]]);
  });

  it("never gives a number twice, not even after the view was deleted", () => {
    expect(nextVersion(folded([add(1)], [serve(1)], [add(2, "1h")], [drop(2)]), "delays")).toBe(3);
    const deleted = folded([add(1)], [serve(1)], [{ kind: "deleteView", name: "delays" }]);
    expect(deleted.views["delays"]).toBeUndefined();
    expect(nextVersion(deleted, "delays")).toBe(2);
  });

  it("reads a service by its newest definition for which every view serves what it asks for", () => {
    const reads = (feature: string): ServiceDefinition => ({
      kind: "service",
      name: "s",
      views: [{ view: "delays", alias: "delays", features: [{ feature, as: feature }], joinKeyMap: {} }],
    });
    const { definition } = delays({ schedule: "1d" });
    const [first] = definition.features;
    const wider = {
      kind: "addVersion",
      version: {
        version: 2,
        definition: {
          ...definition,
          features: [...definition.features, { ...first!, name: "later" }],
        } as ViewDefinition,
        dataHash: "2",
        createdAt: "2001-01-02T00:00:00Z",
      },
    } as const;
    const put = (feature: string) => ({ kind: "putService", service: reads(feature) }) as const;
    const served = (...changes: Action[][]) => servedService(folded(...changes), "s")?.views[0]?.features[0]?.feature;
    const old: Action[][] = [[add(1), put(first!.name)]];
    // None can be read yet: the newest says why.
    expect(served(...old)).toBe(first!.name);
    expect(served(...old, [serve(1)], [wider, put("later")])).toBe(first!.name);
    expect(served(...old, [serve(1)], [wider, put("later")], [serve(2)])).toBe("later");
    expect(served(...old, [serve(1)], [wider, put("later")], [serve(2)], [serve(1)])).toBe(first!.name);
    expect(served(...old, [serve(1)], [wider, put("later")], [{ kind: "deleteService", name: "s" }])).toBeUndefined();
    // What was before a deletion is not what comes after it.
    const again: Action[][] = [[{ kind: "deleteService", name: "s" }], [put("later")]];
    expect(served(...old, [serve(1)], [wider], ...again)).toBe("later");
    expect(servedService(emptyState, "constructor")).toBeUndefined();
  });

  it("finds nothing under names that every object has", () => {
    expect(emptyState.views["constructor"]).toBeUndefined();
    expect(folded([add(1)]).views["toString"]).toBeUndefined();
    expect(nextVersion(emptyState, "constructor")).toBe(1);
  });

  it("freezes what it gives", () => {
    const state = folded([add(1)]);
    expect([state, state.views, state.views["delays"], state.views["delays"]!.versions].every(Object.isFrozen)).toBe(
      true,
    );
  });
});
