// SPDX-License-Identifier: Apache-2.0
export { AccessGuard, type AccessRules } from './access.guard';
export { buildOpenApi, type OpenApiInfo } from './build-open-api';
export { Call, handledRoutes, Handles, routeOf } from './handles';
export { type HttpService, type HttpServiceOptions, startHttpService } from './http-service';
export { NestLogger } from './nest-logger';
export { problemFromError, type ProblemRules } from './problem-from-error';
export { ProblemFilter } from './problem.filter';
export { type Refusal, RefusedRequest } from './refused-request';
export { ResponseCheckInterceptor } from './response-check.interceptor';
export { routeCall, type RouteCall } from './route-call';
