// SPDX-License-Identifier: Apache-2.0
import 'reflect-metadata';
import type { DynamicModule, INestApplication, NestApplicationOptions, Provider, Type } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { isOperationError, OperationError } from '@secondsite/units';
import type { Server } from 'node:http';
import { Server as TlsServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import type { SecureContextOptions, TlsOptions } from 'node:tls';
import type { Logger } from 'pino';
import { AccessGuard, type AccessRules } from './access.guard';
import { JetStreamServer, type JetStreamServerOptions } from './jet-stream-server';
import { NestLogger } from './nest-logger';
import type { ProblemRules } from './problem-from-error';
import { ProblemFilter } from './problem.filter';
import { ResponseCheckInterceptor } from './response-check.interceptor';

export interface HttpServiceOptions {
  /** Controllers whose methods are bound by @Handles, and what they are made from. */
  readonly controllers: readonly Type[];
  readonly providers: readonly Provider[];
  readonly listen: { readonly host: string; readonly port: number };
  /** Absent: plain HTTP (development only). */
  readonly tls?: TlsOptions;
  readonly access: AccessRules;
  readonly problems: ProblemRules;
  readonly logger: Logger;
  /** Absent: no controller is bound to the bus. */
  readonly bus?: Omit<JetStreamServerOptions, 'log'>;
}

/** A REST service that answers. */
export interface HttpService {
  readonly port: number;
  /** New connections use the new certificate; those that are open go on. */
  setCertificate(context: SecureContextOptions): void;
  /** Takes no new connection and no new event, answers and handles what is in hand, then closes. Idempotent. */
  close(): Promise<void>;
}

class ServiceModule {}

/** Starts the service: one guard, one validation, one form of error for every route. Throws OperationError `http/listen` when the address is taken. */
export async function startHttpService(options: HttpServiceOptions): Promise<HttpService> {
  const module: DynamicModule = { module: ServiceModule, controllers: [...options.controllers], providers: [...options.providers] };
  const app = await NestFactory.create(module, {
    logger: new NestLogger(options.logger),
    abortOnError: false,
    forceCloseConnections: true,
    ...(options.tls ? { httpsOptions: options.tls as NonNullable<NestApplicationOptions['httpsOptions']> } : {}),
  });
  app.useGlobalGuards(new AccessGuard(options.access));
  app.useGlobalFilters(new ProblemFilter(options.problems, options.logger));
  app.useGlobalInterceptors(new ResponseCheckInterceptor());
  if (options.bus) app.connectMicroservice({ strategy: new JetStreamServer({ ...options.bus, log: options.logger }) });
  await listen(app, options.listen);
  await app.startAllMicroservices();
  return service(app);
}

async function listen(app: INestApplication, address: HttpServiceOptions['listen']): Promise<void> {
  try {
    await app.listen(address.port, address.host);
  } catch (cause) {
    if (isOperationError(cause)) throw cause;
    throw new OperationError({
      code: 'http/listen', operation: 'listen', context: { ...address }, retryable: false, cause,
      hint: 'Choose another SECONDSITE_LISTEN, or stop what uses the address.',
    });
  }
}

function service(app: INestApplication): HttpService {
  const server = app.getHttpServer() as Server | TlsServer;
  let closed: Promise<void> | undefined;
  return {
    port: (server.address() as AddressInfo).port,
    setCertificate: (context) => {
      if (server instanceof TlsServer) server.setSecureContext(context);
    },
    close: () => (closed ??= app.close()),
  };
}
