// SPDX-License-Identifier: Apache-2.0
import { Injectable, type OnApplicationBootstrap, type OnModuleDestroy } from '@nestjs/common';
import { ClusterMember, TelemetryReporter } from '@secondsite/component';
import type { Telemetry } from '@secondsite/contracts';
import { clockMicros } from '@secondsite/disk-files';
import { spaceGauge } from '@secondsite/telemetry';
import { isoFromMicros } from '@secondsite/units';
import { DataPlane } from '../data-plane/data-plane';
import { pairGauges } from './pair-gauges';

/** Says every second how the process server is, while the application runs. */
@Injectable()
export class LiveTelemetry implements OnApplicationBootstrap, OnModuleDestroy {
  readonly #gauges = pairGauges();
  readonly #space = spaceGauge('process-server');
  #reporter: TelemetryReporter | undefined;

  constructor(private readonly member: ClusterMember, private readonly dataPlane: DataPlane) {}

  onApplicationBootstrap(): void {
    const { bus, log } = this.member;
    this.#reporter = new TelemetryReporter({ bus, log, gather: () => this.#gather() });
  }

  onModuleDestroy(): void {
    this.#reporter?.close();
  }

  #gather(): Telemetry {
    const { server, url } = this.dataPlane;
    const { componentId, tenantId } = this.member.bus.identity;
    const [pairs, freeBytes] = [server.telemetry(), Math.max(0, server.freeBytes)];
    this.#gauges.update(pairs);
    this.#space.update([freeBytes]);
    return {
      role: 'process-server', componentId, tenantId, at: isoFromMicros(clockMicros()), url, rssBytes: process.memoryUsage.rss(),
      freeBytes, pairs,
    };
  }
}
