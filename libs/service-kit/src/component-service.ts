// SPDX-License-Identifier: Apache-2.0
import 'reflect-metadata';
import type { DynamicModule, OnApplicationShutdown, Type } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { ClusterMember, type ComponentSurroundings, type JoinOptions, type RunningComponent } from '@secondsite/component';
import { MessageBus } from '@secondsite/messaging';
import { JetStreamServer } from './jet-stream-server';
import { NestLogger } from './nest-logger';

/** What a component is there for; it is made by a provider and closes itself when the application ends. Nest is not in the way of its data. */
export interface DataPlaneProvider extends OnApplicationShutdown {
  /** Where change sets are sent to. */
  readonly url: string;
  notReadyReason(): string | undefined;
}

export interface ComponentServiceOptions extends Omit<JoinOptions, 'log'> {
  readonly surroundings: ComponentSurroundings;
  /** Controllers and providers; they may ask for ClusterMember and MessageBus. */
  readonly module: DynamicModule;
  readonly dataPlane: Type<DataPlaneProvider>;
}

class ComponentModule {}

class MemberModule {}

/** Starts a component that receives change sets as a Nest microservice: joins the cluster, makes its modules, obeys the bus; then writes ready.json. */
export async function startComponentService(options: ComponentServiceOptions): Promise<RunningComponent & { readonly url: string }> {
  const { surroundings, module, dataPlane: dataPlaneType } = options;
  const { log, metricsUrl } = surroundings;
  const member = await ClusterMember.join({ ...options, log });
  const app = await NestFactory.createMicroservice(rootModule(member, module), {
    strategy: new JetStreamServer({ bus: member.bus, log }), logger: new NestLogger(log), abortOnError: false,
  });
  await app.listen();
  const dataPlane = app.get(dataPlaneType, { strict: false });
  const { url } = dataPlane;
  await member.announce({ url, metricsUrl });
  return { url, notReadyReason: () => dataPlane.notReadyReason(), close: () => member.leave(() => app.close()) };
}

function rootModule(member: ClusterMember, module: DynamicModule): DynamicModule {
  const providers = [{ provide: ClusterMember, useValue: member }, { provide: MessageBus, useValue: member.bus }];
  return { module: ComponentModule, imports: [{ module: MemberModule, global: true, providers, exports: providers.map(({ provide }) => provide) }, module] };
}
