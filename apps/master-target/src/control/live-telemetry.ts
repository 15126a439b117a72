// SPDX-License-Identifier: Apache-2.0
import { Injectable, type OnApplicationBootstrap, type OnModuleDestroy } from '@nestjs/common';
import { ClusterMember, TelemetryReporter } from '@secondsite/component';
import type { Telemetry } from '@secondsite/contracts';
import { clockMicros } from '@secondsite/disk-files';
import { spaceGauge } from '@secondsite/telemetry';
import { isoFromMicros } from '@secondsite/units';
import { DataPlane } from '../data-plane/data-plane';
import { pairGauges } from './pair-gauges';

/** Says every second how the master target is, while the application runs. */
@Injectable()
export class LiveTelemetry implements OnApplicationBootstrap, OnModuleDestroy {
  readonly #gauges = pairGauges();
  readonly #space = spaceGauge('master-target');
  #reporter: TelemetryReporter | undefined;

  constructor(private readonly member: ClusterMember, private readonly dataPlane: DataPlane) {}

  onApplicationBootstrap(): void {
    const { bus, log } = this.member;
    this.#reporter = new TelemetryReporter({ bus, log, gather: () => this.#gather() });
  }

  onModuleDestroy(): void {
    this.#reporter?.close();
  }

  async #gather(): Promise<Telemetry> {
    const { server, url } = this.dataPlane;
    const { componentId, tenantId } = this.member.bus.identity;
    const [pairs, freeBytes] = await Promise.all([server.telemetry(), server.freeBytes()]);
    this.#gauges.update(pairs);
    this.#space.update([freeBytes]);
    return {
      role: 'master-target', componentId, tenantId, at: isoFromMicros(clockMicros()), url, rssBytes: process.memoryUsage.rss(),
      freeBytes, pairs, ...(server.arrivals().length > 0 && { arrivals: server.arrivals() }),
    };
  }
}
