/** Writes definitions of the registry back as code. */
import type { AnyView, ServiceDefinition } from "./define/definitions.ts";
import { DefinitionSource } from "./define/source/definition_source.ts";
import { type ModuleOptions, moduleSource } from "./define/source/module_source.ts";
import { VarveError } from "./errors.ts";
import type { RegistryState } from "./registry/state.ts";
import { newestRealtimeView, newestView } from "./store_reads.ts";
import { namesLike } from "./text.ts";

/** One module of services with their views, and of views, by name; of each the version that was published last. */
export function registeredSource(
  state: RegistryState,
  names: readonly string[],
  options?: ModuleOptions,
): DefinitionSource {
  const views = new Map<string, AnyView>();
  const services = new Map<string, ServiceDefinition>();
  const add = (name: string) => {
    const { definition } = newestView(state, name) ?? newestRealtimeView(state, name)!;
    if (definition.kind === "realtimeView") { for (const use of definition.from) add(use.view); }
    views.set(name, definition);
  };
  for (const name of names) {
    const service = Object.hasOwn(state.services, name) ? state.services[name] : undefined;
    if (service) {
      services.set(name, service);
      for (const { view } of service.views) add(view);
    }
    if (Object.hasOwn(state.views, name) || Object.hasOwn(state.realtimeViews, name)) add(name);
    else if (!service) {
      const list = (of: object) => namesLike(name, Object.keys(of));
      throw new VarveError(
        "NOT_FOUND",
        `Cannot write "${name}" as a module: services are ${list(state.services)}; views are ${
          list({ ...state.views, ...state.realtimeViews })
        }`,
        { details: { name } },
      );
    }
  }
  return new DefinitionSource(moduleSource([...views.values()], [...services.values()], options));
}
