// SPDX-License-Identifier: Apache-2.0
import type { DynamicModule } from '@nestjs/common';
import { LiveTelemetry } from './control/live-telemetry';
import { PairsController } from './control/pairs.controller';
import type { DataPlaneOptions } from './data-plane/data-plane';
import { DataPlaneModule } from './data-plane/data-plane.module';

export class ProcessServerModule {
  static with(options: Omit<DataPlaneOptions, 'member'>): DynamicModule {
    return { module: ProcessServerModule, imports: [DataPlaneModule.with(options)], controllers: [PairsController], providers: [LiveTelemetry] };
  }
}
