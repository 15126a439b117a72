// SPDX-License-Identifier: Apache-2.0
import 'reflect-metadata';
import type { DynamicModule, OnApplicationShutdown, Type } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { ClusterMember, type ComponentSurroundings, type JoinOptions, type RunningComponent } from '@secondsite/component';
import { MessageBus } from '@secondsite/messaging';
import { JetStreamServer } from './jet-stream-server';
import { NestLogger } from './nest-logger';

/** What a component is there for. Nest owns it and has it closed when the application ends, but is not in the way of its data. */
export interface OwnedDataPlane extends OnApplicationShutdown {
  /** Where change sets are sent to. */
  readonly url: string;
  notReadyReason(): string | undefined;
}

export interface ComponentServiceOptions extends Omit<JoinOptions, 'log' | 'onFatal'> {
  readonly surroundings: ComponentSurroundings;
  /** Controllers and providers; they may ask for ClusterMember, MessageBus and the data plane. */
  readonly module: Type;
  readonly dataPlane: { readonly type: Type<OwnedDataPlane>; readonly open: (member: ClusterMember) => Promise<OwnedDataPlane> };
}

class ComponentModule {}

class SurroundingsModule {}

/** Starts a component that receives change sets as a Nest microservice: joins the cluster, makes its modules, obeys the bus; then writes ready.json. */
export async function startComponentService(options: ComponentServiceOptions): Promise<RunningComponent & { readonly url: string }> {
  const { log, metricsUrl, onFatal } = options.surroundings;
  const member = await ClusterMember.join({ ...options, log, onFatal });
  const app = await NestFactory.createMicroservice(rootModule(member, options), {
    strategy: new JetStreamServer({ bus: member.bus, log }), logger: new NestLogger(log), abortOnError: false,
  });
  await app.listen();
  const dataPlane = app.get(options.dataPlane.type, { strict: false });
  const { url } = dataPlane;
  await member.announce({ url, metricsUrl });
  return { url, notReadyReason: () => dataPlane.notReadyReason(), close: () => member.leave(() => app.close()) };
}

function rootModule(member: ClusterMember, { module, dataPlane }: ComponentServiceOptions): DynamicModule {
  const providers = [
    { provide: ClusterMember, useValue: member }, { provide: MessageBus, useValue: member.bus }, { provide: dataPlane.type, useFactory: () => dataPlane.open(member) },
  ];
  const exports = providers.map(({ provide }) => provide);
  return { module: ComponentModule, imports: [{ module: SurroundingsModule, global: true, providers, exports }, module] };
}
