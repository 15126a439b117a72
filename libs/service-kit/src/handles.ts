// SPDX-License-Identifier: Apache-2.0
import { applyDecorators, createParamDecorator, type ExecutionContext, HttpCode, RequestMapping, RequestMethod, SetMetadata } from '@nestjs/common';
import type { RouteDefinition } from '@secondsite/contracts';
import type { Request } from 'express';
import assert from 'node:assert';
import { routeCall } from './route-call';

const routeKey = 'secondsite:route';

/** Binds a controller's method to a route of the contract. Its only parameter is `@Call() call: RouteCall<typeof route>`. */
export function Handles(route: RouteDefinition): MethodDecorator {
  const path = route.path.replaceAll(/\{(\w+)\}/g, ':$1');
  return applyDecorators(RequestMapping({ path, method: RequestMethod[route.method] }), HttpCode(route.status), SetMetadata(routeKey, route));
}

/** The validated request of the route that the method handles. */
export const Call = createParamDecorator((_unused: unknown, context: ExecutionContext) =>
  routeCall(routeOf(context), context.switchToHttp().getRequest<Request>()),
);

/** Route of the handler that is being called. */
export function routeOf(context: ExecutionContext): RouteDefinition {
  const route = Reflect.getMetadata(routeKey, context.getHandler()) as RouteDefinition | undefined;
  assert(route, `${context.getClass().name}.${context.getHandler().name} has no @Handles(route)`);
  return route;
}

/** Routes that the methods of a controller class handle. */
export function handledRoutes(controller: abstract new (...args: never[]) => object): RouteDefinition[] {
  const prototype = controller.prototype as Record<string, unknown>;
  return Object.getOwnPropertyNames(prototype).flatMap((name) => {
    const handler = prototype[name];
    const route = typeof handler === 'function' ? (Reflect.getMetadata(routeKey, handler) as RouteDefinition | undefined) : undefined;
    return route ? [route] : [];
  });
}
