/** The door to fastify. */
export { errorCodes, fastify } from "fastify";
export type {
  FastifyInstance,
  FastifyReply,
  FastifyRequest,
  FastifySchema,
  onRequestHookHandler,
  RouteOptions,
} from "fastify";
