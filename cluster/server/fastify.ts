/** The door to fastify. */
export { fastify } from "fastify";
export type {
  FastifyInstance,
  FastifyReply,
  FastifyRequest,
  FastifySchema,
  onRequestHookHandler,
  RouteOptions,
} from "fastify";
