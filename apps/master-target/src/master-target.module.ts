// SPDX-License-Identifier: Apache-2.0
import type { DynamicModule } from '@nestjs/common';
import { LiveTelemetry } from './control/live-telemetry';
import { PairsController } from './control/pairs.controller';
import { PointsController } from './control/points.controller';
import { ViewsController } from './control/views.controller';
import type { DataPlaneOptions } from './data-plane/data-plane';
import { DataPlaneModule } from './data-plane/data-plane.module';

export class MasterTargetModule {
  static with(options: Omit<DataPlaneOptions, 'member'>): DynamicModule {
    return {
      module: MasterTargetModule, imports: [DataPlaneModule.with(options)], controllers: [PairsController, PointsController, ViewsController], providers: [LiveTelemetry],
    };
  }
}
