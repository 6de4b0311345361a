// What one would write by hand, to be compared with: one Fastify route over Redis, of the least that does the job.
// node serving_baseline.mjs get|hmget REDIS_URL
import fastify from "fastify";
import { Redis } from "ioredis";
import process from "node:process";

const [kind, url] = process.argv.slice(2);
const redis = new Redis(url);
const app = fastify();
const body = {
  type: "object",
  required: ["params"],
  properties: {
    params: {
      type: "object",
      required: ["featureServiceName", "joinKeyMap"],
      properties: {
        featureServiceName: { type: "string" },
        joinKeyMap: { type: "object", required: ["user"], properties: { user: { type: "string" } } },
      },
    },
  },
};

/** The whole answer is in Redis. */
async function get(request, reply) {
  const text = await redis.get(`vector:${request.body.params.joinKeyMap.user}`);
  return reply.type("application/json").send(text);
}

/** A hash per entity and view, a field per feature; the first letter of a field's name says its type. */
async function hmget(request) {
  const { user } = request.body.params.joinKeyMap;
  const views = await Promise.all(names.map((fields, v) => redis.hmget(`view${v}:${user}`, ...fields)));
  const features = [];
  for (let v = 0; v < views.length; v++) {
    for (let i = 0; i < views[v].length; i++) features.push(parse(names[v][i], views[v][i]));
  }
  return { result: { features } };
}

const names = [0, 1, 2].map((v) =>
  Array.from({ length: 10 }, (_, i) => (i < 6 ? "d" : i < 8 ? "i" : i < 9 ? "s" : "b") + v + i).sort()
);

function parse(name, text) {
  if (text === null) return null;
  return name[0] === "d" ? Number(text) : name[0] === "b" ? text === "true" : text;
}

app.post("/", { schema: { body } }, kind === "get" ? get : hmget);
process.once("SIGTERM", () => process.exit());
process.send({ url: await app.listen({ host: "127.0.0.1", port: 0 }) });
