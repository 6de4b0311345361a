/** The description of the API, made of the schemas that check requests: `/openapi.json`, and `/docs` to browse it. */
import swagger from "@fastify/swagger";
import swaggerUi from "@fastify/swagger-ui";
import { errorSchema } from "./error_schema.ts";
import type { FastifyInstance, FastifySchema } from "./fastify.ts";
import type { Access } from "./guard.ts";

/** Of the API, not of the package: it changes when clients must. */
const version = "1.0.0";

/** The page loads nothing from elsewhere. */
const pagePolicy = "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; " +
  "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/** Describes the routes of the plugins that are registered after it. */
export function describeApi(app: FastifyInstance): void {
  app.addSchema(errorSchema);
  // Answers are described by their schemas, not written by them.
  app.setSerializerCompiler(() => (answer) => JSON.stringify(answer));
  void app.register(swagger, {
    openapi: {
      openapi: "3.1.0",
      info: {
        title: "varve",
        version,
        description: "Feature vectors for models, in the dialects of Tecton and Feast. Every error has the same body.",
      },
      components: {
        securitySchemes: {
          bearer: { type: "http", scheme: "bearer", description: "An API key: `varve keys create NAME` makes one." },
          tectonKey: {
            type: "apiKey",
            in: "header",
            name: "Authorization",
            description: "The same key as Tecton's clients send it: `Tecton-key KEY`.",
          },
        },
      },
      tags: [
        { name: "Features", description: "Tecton's HTTP API." },
        { name: "Feast", description: "The API of Feast's feature server." },
        { name: "Server", description: "Whether it lives, and whether it can answer." },
      ],
    },
    refResolver: { buildLocalReference: ({ $id }) => String($id) },
    transform: ({ schema, url, route }) => ({ schema: secured(schema, route.config?.access), url }),
  });
  void app.register(async (page) => {
    // The page is the same for everybody, and public.
    page.addHook("onRoute", (route) => {
      route.config = { ...route.config, access: "everybody" };
    });
    await page.register(swaggerUi, {
      routePrefix: "/docs",
      staticCSP: pagePolicy,
      // The badge of a validator elsewhere would be asked for, and told the address.
      uiConfig: {
        // Without a bar to load other descriptions.
        layout: "BaseLayout",
        validatorUrl: null,
        displayRequestDuration: true,
        defaultModelsExpandDepth: 0,
        tryItOutEnabled: true,
      },
      theme: { title: "varve: HTTP API" },
    });
  });
  const config = { access: "everybody" } as const;
  app.get("/openapi.json", { schema: { hide: true }, config }, async () => await Promise.resolve(app.swagger()));
}

/** Says who may ask: what the guard looks at, in the words of OpenAPI. */
function secured(schema: FastifySchema | undefined, access: Access | undefined): FastifySchema {
  if (access === undefined || access === "everybody") return { ...schema, security: [] };
  const scope = `Takes an API key with scope \`${access}\`, where the server asks for keys.`;
  const description = [schema?.description, scope].filter(Boolean).join(" ");
  return { ...schema, description, security: [{ bearer: [] }, { tectonKey: [] }] };
}
