// SPDX-License-Identifier: Apache-2.0
import { Controller } from '@nestjs/common';
import type { Telemetry } from '@secondsite/contracts';
import { OnTelemetry } from '@secondsite/service-kit';
import { DesiredStatePublisher } from '../desired-state/desired-state.publisher';
import { LiveStatus } from './live-status';

/** What components say about themselves every second. */
@Controller()
export class TelemetryController {
  constructor(private readonly live: LiveStatus, private readonly publisher: DesiredStatePublisher) {}

  /** A new address of a component is part of what others should be doing. */
  @OnTelemetry()
  heard(telemetry: Telemetry): void {
    if (this.live.observe(telemetry)) this.publisher.trigger();
  }
}
