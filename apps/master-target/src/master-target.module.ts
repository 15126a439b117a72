// SPDX-License-Identifier: Apache-2.0
import { Module } from '@nestjs/common';
import { LiveTelemetry } from './control/live-telemetry';
import { PairsController } from './control/pairs.controller';
import { PointsController } from './control/points.controller';
import { ViewsController } from './control/views.controller';

/** The control of a master target. ClusterMember, MessageBus and the DataPlane that it controls are given by `startComponentService`. */
@Module({ controllers: [PairsController, PointsController, ViewsController], providers: [LiveTelemetry] })
export class MasterTargetModule {}
