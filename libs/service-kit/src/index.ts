// SPDX-License-Identifier: Apache-2.0
export { AccessGuard, type AccessRules } from './access.guard';
export { Answers, OnDesiredState, OnEvent, OnTelemetry } from './bus-handlers';
export { buildOpenApi, type OpenApiInfo } from './build-open-api';
export { type ComponentServiceOptions, type OwnedDataPlane, startComponentService } from './component-service';
export { Call, handledRoutes, Handles, routeOf } from './handles';
export { type HttpService, type HttpServiceOptions, startHttpService } from './http-service';
export { JetStreamServer, type JetStreamServerOptions } from './jet-stream-server';
export { type NestLog, NestLogger } from './nest-logger';
export { problemFromError, type ProblemRules } from './problem-from-error';
export { ProblemFilter } from './problem.filter';
export { type Refusal, RefusedRequest } from './refused-request';
export { ResponseCheckInterceptor } from './response-check.interceptor';
export { routeCall, type RouteCall } from './route-call';
