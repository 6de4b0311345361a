/** Which methods the routes take: asking with another one is told so, instead of that there is nothing. */
import type { FastifyInstance } from "./fastify.ts";

/** Follows the routes that are added after it. */
export class RouteMethods {
  /** Methods by the segments of their paths; a segment such as `:name` stands for any. */
  readonly #routes = new Map<string, Set<string>>();

  constructor(app: FastifyInstance) {
    app.addHook("onRoute", ({ url, method }) => {
      const methods = this.#routes.get(url) ?? new Set();
      for (const each of [method].flat()) methods.add(each);
      this.#routes.set(url, methods);
    });
  }

  /** The methods of a path; none where there is no such path. */
  of(path: string): string[] {
    const found = new Set<string>();
    const segments = path.split("/");
    for (const [url, methods] of this.#routes) {
      const pattern = url.split("/");
      if (pattern.length !== segments.length) continue;
      const fits = pattern.every((part, i) => part === segments[i] || (part.startsWith(":") && segments[i] !== ""));
      if (fits) { for (const method of methods) found.add(method); }
    }
    return [...found].sort();
  }
}
